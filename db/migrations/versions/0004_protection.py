"""protection: budgets, quotes, audit, tenants' limits, credentials, erasures; money counted by the database

Revision ID: 0004
Revises: 0003
"""

from alembic import op
import sqlalchemy as sa
import sqlmodel
from sqlalchemy.dialects import postgresql

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

# What was promised and what was spent is counted where a generation or a purchase is written, whichever path of the code
# writes it. Who makes a budget takes the lock of its owner alone (db/budgets.py) and waits for those who count for that very
# owner, and they for it, so that nothing is counted twice or not at all; nobody else waits.
COUNT = """
create function count_money(
    about text, kinds text[], names text[], moment timestamptz, promised numeric, paid numeric, may_refuse boolean
) returns void language plpgsql as $$
declare
    due record;
    counted record;
    begins date;
    is_full boolean;
    share int;
begin
    perform pg_advisory_xact_lock_shared(hashtextextended(kind || ':' || name, 5)) from unnest(kinds, names) as mine(kind, name);
    for due in
        select budget.* from unnest(kinds, names) as mine(kind, name)
        join budget on budget."of" = mine.kind and budget.owner = mine.name
        where removed_at is null order by mine.kind = 'system', id
    loop
        begins := date_trunc(due.period, moment at time zone 'utc')::date;
        if may_refuse then
            insert into budget_period (budget_id, begins_on, held_usd, spent_usd, alerted)
            values (due.id, begins, 0, 0, 0) on conflict do nothing;
        end if;
        update budget_period set held_usd = held_usd + promised, spent_usd = spent_usd + paid
        where budget_id = due.id and begins_on = begins
        returning held_usd + spent_usd as used, alerted into counted;
        continue when not found;
        if may_refuse and due.hard and promised > 0 and counted.used > due.limit_usd then
            raise exception 'a budget is used up' using errcode = 'DB001', detail = json_build_object(
                'about', about, 'budget_id', due.id, 'of', due.of, 'period', due.period, 'begins_on', begins,
                'limit_usd', due.limit_usd, 'left_usd', greatest(0, due.limit_usd - counted.used + promised),
                'wanted_usd', promised)::text;
        end if;
        -- Who refuses can write down nothing: that it is full is told by the last one that fits.
        is_full := may_refuse and due.hard and counted.used * 100 >= due.limit_usd * 80
            and due.limit_usd - counted.used < promised;
        for share in
            select percent from unnest(array[50, 80, 100]) as percent
            where percent > counted.alerted and (counted.used * 100 >= due.limit_usd * percent or percent = 100 and is_full)
            order by percent
        loop
            insert into budget_alert (id, budget_id, begins_on, percent, tenant_id, used_usd, created_at)
            values (gen_random_uuid(), due.id, begins, share, due.tenant_id, counted.used, clock_timestamp());
            update budget_period set alerted = share where budget_id = due.id and begins_on = begins;
            perform pg_notify('diorama_budget', due.id::text);
        end loop;
    end loop;
end $$
"""
# The system comes last: all have its row, and who waits for a tenant's must not have it yet. What tenants pay by keys of their
# own at providers is no money of the system's; where there is none of that, as at each acceptance, all are counted in one go.
COUNT_GENERATION = """
create function count_generation() returns trigger language plpgsql as $$
declare
    promised numeric := new.hold_usd;
    paid numeric := coalesce(new.cost_usd, 0);
    by_own_keys numeric := new.own_keys_usd;
    key_owner text;
begin
    if tg_op = 'UPDATE' then
        promised := promised - old.hold_usd;
        paid := paid - coalesce(old.cost_usd, 0);
        by_own_keys := by_own_keys - old.own_keys_usd;
    end if;
    if promised = 0 and paid = 0 and by_own_keys = 0 then
        return null;
    end if;
    select coalesce((select budget_key from api_key where id = new.key_id), new.key_id, '-') into key_owner;
    if by_own_keys = 0 then
        perform count_money(
            'generation', array['tenant', 'key', 'system'], array[new.tenant_id::text, key_owner, ''],
            new.created_at, promised, paid, tg_op = 'INSERT');
        return null;
    end if;
    if promised <> 0 or paid <> 0 then
        perform count_money(
            'generation', array['tenant', 'key'], array[new.tenant_id::text, key_owner],
            new.created_at, promised, paid, tg_op = 'INSERT');
    end if;
    if promised <> 0 or paid <> by_own_keys then
        perform count_money(
            'generation', array['system'], array[''], new.created_at, promised, paid - by_own_keys, tg_op = 'INSERT');
    end if;
    return null;
end $$
"""
# A purchase must fit what is left of the price that was promised for its generation, and its provider's budgets.
COUNT_SPEND = """
create function count_spend() returns trigger language plpgsql as $$
declare
    promised numeric := case when new.state in ('settled', 'released') then 0 else new.hold_usd end;
    paid numeric := case when new.state = 'settled' then coalesce(new.cost_usd, 0) else 0 end;
    promise numeric;
    used numeric;
begin
    if tg_op = 'INSERT' and new.state = 'held' then
        perform pg_advisory_xact_lock(hashtextextended(new.generation_id::text, 4));
        select quote_max_usd into promise from generation where id = new.generation_id;
        select sum(case when state in ('settled', 'released') then coalesce(cost_usd, 0) else hold_usd end)
        into used from spend where generation_id = new.generation_id;
        if used > promise then
            raise exception 'the price that was promised is used up' using errcode = 'DB002', detail = json_build_object(
                'max_usd', promise, 'left_usd', greatest(0, promise - used + new.hold_usd), 'wanted_usd', new.hold_usd)::text;
        end if;
    end if;
    if tg_op = 'UPDATE' then
        promised := promised - case when old.state in ('settled', 'released') then 0 else old.hold_usd end;
        paid := paid - case when old.state = 'settled' then coalesce(old.cost_usd, 0) else 0 end;
    end if;
    if (promised <> 0 or paid <> 0) and not new.own_key then  -- who buys with a key of their own spends no money of ours
        perform count_money(
            'spend', array['provider'], array[new.provider::text], new.created_at, promised, paid, tg_op = 'INSERT');
    end if;
    return null;
end $$
"""
# What a tenant has under way, and of a day: counted where it has a limit, by one who accepts at a time, who keeps the others
# out until its commit. Who does not fit anyhow is told so without waiting; a count that nobody else can change holds.
TENANT_ROOM = """
create function tenant_room(
    whose uuid, most_under_way bigint, most_of_the_day bigint, day_begins uuid, day_ends uuid,
    out under_way bigint, out of_the_day bigint
) language plpgsql as $$
declare
    its_turn bigint := hashtextextended(whose::text, 6);
    is_alone boolean;
begin
    if most_under_way is null and most_of_the_day is null then
        return;
    end if;
    is_alone := pg_try_advisory_xact_lock(its_turn);
    loop
        if most_under_way is not null then
            select count(*) into under_way from generation where tenant_id = whose and status in ('queued', 'running');
        end if;
        if most_of_the_day is not null then
            select count(*) into of_the_day from generation where tenant_id = whose and id >= day_begins and id < day_ends;
        end if;
        exit when is_alone or under_way >= most_under_way or of_the_day >= most_of_the_day;
        perform pg_advisory_xact_lock(its_turn);
        is_alone := true;
    end loop;
end $$
"""
# The generic cell rate algorithm for the limits of one request, all or none: each row holds when what was admitted is used up at
# its pace, and one more fits when that is then at most `bursts` steps ahead. `ahead_s` ends with the limit that refuses.
# `moment` is for tests alone: in life the clock of the one PostgreSQL is the clock of all API processes.
TAKE_RATES = """
create function take_rates(
    limits text[], steps_us float8[], bursts float8[], moment timestamptz, out is_admitted boolean, out ahead_s float8[]
) language plpgsql as $$
declare
    step interval;
    next_s float8;
begin
    is_admitted := true;
    for place in 1 .. cardinality(limits) loop
        step := interval '1 microsecond' * steps_us[place];
        insert into rate_limit as kept (name, next_at)
        values (limits[place], coalesce(moment, clock_timestamp()) + step)
        on conflict (name) do update set next_at = greatest(kept.next_at, coalesce(moment, clock_timestamp())) + step
        where greatest(kept.next_at, coalesce(moment, clock_timestamp())) + step
            <= coalesce(moment, clock_timestamp()) + step * bursts[place]
        returning extract(epoch from next_at - coalesce(moment, clock_timestamp())) into next_s;
        is_admitted := found;
        if not is_admitted then
            select extract(epoch from next_at - coalesce(moment, clock_timestamp())) into next_s
            from rate_limit where name = limits[place];
        end if;
        ahead_s := ahead_s || next_s;
        exit when not is_admitted;
    end loop;
    if not is_admitted and cardinality(ahead_s) > 1 then  -- what the limits before this one counted is taken back
        update rate_limit set next_at = next_at - interval '1 microsecond' * steps_us[array_position(limits, name::text)]
        where name = any(limits) and array_position(limits, name::text) < cardinality(ahead_s);
    end if;
end $$
"""
REFUSE_CHANGES = """
create function refuse_changes() returns trigger language plpgsql as $$
begin
    raise exception '% is only ever added to', tg_table_name using errcode = 'check_violation',
        constraint = tg_table_name || '_is_append_only';
end $$
"""


def let_the_database_count() -> None:
    for function in (COUNT, COUNT_GENERATION, COUNT_SPEND, TENANT_ROOM, TAKE_RATES, REFUSE_CHANGES):
        op.execute(function)
    op.execute('create trigger generation_money after insert or update of hold_usd, cost_usd, own_keys_usd on generation '
               'for each row execute function count_generation()')
    op.execute('create trigger spend_money after insert or update of state, cost_usd, hold_usd on spend '
               'for each row execute function count_spend()')
    op.execute('create trigger audit_is_append_only before update or delete on audit '
               'for each row execute function refuse_changes()')
    op.execute('create trigger audit_is_never_emptied before truncate on audit '
               'for each statement execute function refuse_changes()')



def upgrade() -> None:
    op.create_table('audit',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('tenant_id', sa.Uuid(), nullable=True),
    sa.Column('actor', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('address', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=True),
    sa.Column('request_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    sa.Column('action', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('subject', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('subject_id', sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
    sa.Column('facts', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit'))
    )
    op.create_index('ix_audit_subject', 'audit', ['subject', 'subject_id', 'id'], unique=False)
    op.create_index('ix_audit_tenant', 'audit', ['tenant_id', 'id'], unique=False)
    op.create_table('rate_limit',
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
    sa.Column('next_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_rate_limit')),
    prefixes=['UNLOGGED']
    )
    op.create_table('budget',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('of', sa.Enum('key', 'tenant', 'provider', 'system', name='of', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('owner', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('tenant_id', sa.Uuid(), nullable=True),
    sa.Column('period', sa.Enum('day', 'month', name='period', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('limit_usd', sa.Numeric(precision=12, scale=6), nullable=False),
    sa.Column('hard', sa.Boolean(), nullable=False),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('removed_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenant.id'], name=op.f('fk_budget_tenant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_budget'))
    )
    op.create_index(op.f('ix_budget_tenant_id'), 'budget', ['tenant_id'], unique=False)
    op.create_index('uq_budget_valid', 'budget', ['of', 'owner', 'period', 'hard', sa.text("(tenant_id is null)")], unique=True, postgresql_where='removed_at is null')
    op.create_table('erasure',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('tenant_id', sa.Uuid(), nullable=False),
    sa.Column('subject', sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
    sa.Column('subject_hash', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('requested_by', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('receipt', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('verified_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenant.id'], name=op.f('fk_erasure_tenant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_erasure'))
    )
    op.create_index('ix_erasure_tenant', 'erasure', ['tenant_id', 'id'], unique=False)
    op.create_table('provider_credential',
    sa.Column('tenant_id', sa.Uuid(), nullable=False),
    sa.Column('provider', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('sealed', sa.LargeBinary(), nullable=False),
    sa.Column('nonce', sa.LargeBinary(), nullable=False),
    sa.Column('sealed_by', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('hint', sqlmodel.sql.sqltypes.AutoString(length=4), nullable=False),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenant.id'], name=op.f('fk_provider_credential_tenant_id')),
    sa.PrimaryKeyConstraint('tenant_id', 'provider', name=op.f('pk_provider_credential'))
    )
    op.create_table('quote',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('tenant_id', sa.Uuid(), nullable=False),
    sa.Column('request_hash', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('min_usd', sa.Numeric(precision=12, scale=6), nullable=False),
    sa.Column('expected_usd', sa.Numeric(precision=12, scale=6), nullable=False),
    sa.Column('max_usd', sa.Numeric(precision=12, scale=6), nullable=False),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('expires_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('generation_id', sa.Uuid(), nullable=True),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenant.id'], name=op.f('fk_quote_tenant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_quote'))
    )
    op.create_index('ix_quote_expires', 'quote', ['expires_at'], unique=False)
    op.create_table('budget_alert',
    sa.Column('budget_id', sa.Uuid(), nullable=False),
    sa.Column('begins_on', sa.Date(), nullable=False),
    sa.Column('percent', sa.Integer(), nullable=False),
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('tenant_id', sa.Uuid(), nullable=True),
    sa.Column('used_usd', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('told_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['budget_id'], ['budget.id'], name=op.f('fk_budget_alert_budget_id')),
    sa.PrimaryKeyConstraint('budget_id', 'begins_on', 'percent', name=op.f('pk_budget_alert'))
    )
    op.create_index(op.f('ix_budget_alert_tenant_id'), 'budget_alert', ['tenant_id'], unique=False)
    op.create_index('uq_budget_alert_id', 'budget_alert', ['id'], unique=True)
    op.create_index('ix_budget_alert_untold', 'budget_alert', ['created_at'], unique=False, postgresql_where='told_at is null')
    op.alter_column('delivery', 'generation_id', nullable=True)
    op.alter_column('delivery', 'event_seq', nullable=True)
    op.add_column('delivery', sa.Column('alert_id', sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f('fk_delivery_alert_id'), 'delivery', 'budget_alert', ['alert_id'], ['id'])
    op.create_check_constraint(op.f('ck_delivery_of_one'), 'delivery', '(generation_id is null) <> (alert_id is null)')
    op.create_index('uq_delivery_alert', 'delivery', ['endpoint_id', 'alert_id'], unique=True, postgresql_where='alert_id is not null')
    op.create_index('ix_spend_tenant', 'spend', ['tenant_id', 'generation_id'], unique=False)
    op.create_table('budget_period',
    sa.Column('budget_id', sa.Uuid(), nullable=False),
    sa.Column('begins_on', sa.Date(), nullable=False),
    sa.Column('held_usd', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('spent_usd', sa.Numeric(precision=18, scale=6), nullable=False),
    sa.Column('alerted', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['budget_id'], ['budget.id'], name=op.f('fk_budget_period_budget_id')),
    sa.PrimaryKeyConstraint('budget_id', 'begins_on', name=op.f('pk_budget_period'))
    )
    op.add_column('api_key', sa.Column('scopes', postgresql.ARRAY(sa.Text()), nullable=False, server_default='{generate,read}'))
    op.add_column('api_key', sa.Column('requests_per_minute', sa.Integer(), nullable=True))
    op.add_column('api_key', sa.Column('last_used_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.add_column('api_key', sa.Column('expires_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.add_column('api_key', sa.Column('replaced_by', sqlmodel.sql.sqltypes.AutoString(length=12), nullable=True))
    op.add_column('api_key', sa.Column('budget_key', sqlmodel.sql.sqltypes.AutoString(length=12), nullable=True))
    op.add_column('generation', sa.Column('key_id', sqlmodel.sql.sqltypes.AutoString(length=12), nullable=True))
    op.add_column('generation', sa.Column('user_id', sqlmodel.sql.sqltypes.AutoString(length=100), nullable=True))
    op.add_column('generation', sa.Column('hold_usd', sa.Numeric(precision=12, scale=6), nullable=False, server_default='0'))
    op.add_column('generation', sa.Column('own_keys_usd', sa.Numeric(precision=12, scale=6), nullable=False, server_default='0'))
    op.add_column('generation', sa.Column('erasure_id', sa.Uuid(), nullable=True))
    op.create_index('ix_generation_erasure', 'generation', ['erasure_id', 'id'], unique=False, postgresql_where='erasure_id is not null')
    op.add_column('spend', sa.Column('own_key', sa.Boolean(), nullable=False, server_default='false'))
    op.create_index('ix_generation_user', 'generation', ['tenant_id', 'user_id', 'id'], unique=False, postgresql_where='user_id is not null')
    op.add_column('spend', sa.Column('price_version', sqlmodel.sql.sqltypes.AutoString(length=20), nullable=True))
    op.add_column('tenant', sa.Column('tier', sa.Enum('free', 'standard', 'premium', name='tier', native_enum=False, create_constraint=True, length=20), nullable=False, server_default='standard'))
    op.add_column('tenant', sa.Column('policy', sa.Enum('strict', 'usual', 'open', name='policy', native_enum=False, create_constraint=True, length=20), nullable=False, server_default='usual'))
    op.add_column('tenant', sa.Column('requests_per_minute', sa.Integer(), nullable=True))
    op.add_column('tenant', sa.Column('in_flight', sa.Integer(), nullable=True))
    op.add_column('tenant', sa.Column('per_day', sa.Integer(), nullable=True))
    op.add_column('tenant', sa.Column('keep_pictures_days', sa.Integer(), nullable=True))
    op.add_column('tenant', sa.Column('suspended_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    # Promised before it was written down: what is under way counts from now on.
    op.execute("update generation set hold_usd = greatest(0, quote_max_usd - coalesce(cost_usd, 0)) where status in ('queued', 'running', 'needs_review')")
    # Until now every key could do all that is not an operator's.
    op.execute("update api_key set scopes = '{generate,read,admin}' where operator")
    let_the_database_count()


def downgrade() -> None:
    for table, trigger in (('spend', 'spend_money'), ('generation', 'generation_money')):
        op.execute(f'drop trigger {trigger} on {table}')
    op.execute('drop table audit cascade')
    for function in ('count_spend()', 'count_generation()', 'refuse_changes()',
                     'tenant_room(uuid, bigint, bigint, uuid, uuid)',
                     'take_rates(text[], double precision[], double precision[], timestamptz)',
                     'count_money(text, text[], text[], timestamptz, numeric, numeric, boolean)'):
        op.execute(f'drop function {function}')
    op.drop_column('tenant', 'suspended_at')
    op.drop_column('tenant', 'keep_pictures_days')
    op.drop_column('tenant', 'per_day')
    op.drop_column('tenant', 'in_flight')
    op.drop_column('tenant', 'requests_per_minute')
    op.drop_column('tenant', 'policy')
    op.drop_column('tenant', 'tier')
    op.drop_column('spend', 'own_key')
    op.drop_column('spend', 'price_version')
    op.drop_index('ix_generation_erasure', table_name='generation', postgresql_where='erasure_id is not null')
    op.drop_column('generation', 'erasure_id')
    op.drop_index('ix_generation_user', table_name='generation', postgresql_where='user_id is not null')
    op.drop_column('generation', 'own_keys_usd')
    op.drop_column('generation', 'hold_usd')
    op.drop_column('generation', 'user_id')
    op.drop_column('generation', 'key_id')
    op.drop_column('api_key', 'budget_key')
    op.drop_column('api_key', 'replaced_by')
    op.drop_column('api_key', 'expires_at')
    op.drop_column('api_key', 'last_used_at')
    op.drop_column('api_key', 'requests_per_minute')
    op.drop_column('api_key', 'scopes')
    op.drop_table('budget_period')
    op.drop_index('ix_spend_tenant', table_name='spend')
    op.execute('delete from delivery_attempt where delivery_id in (select id from delivery where alert_id is not null)')
    op.execute('delete from delivery where alert_id is not null')
    op.drop_column('delivery', 'alert_id')  # its index and constraints go with it
    op.alter_column('delivery', 'event_seq', nullable=False)
    op.alter_column('delivery', 'generation_id', nullable=False)
    op.drop_index(op.f('ix_budget_alert_tenant_id'), table_name='budget_alert')
    op.drop_table('budget_alert')
    op.drop_index('ix_quote_expires', table_name='quote')
    op.drop_table('quote')
    op.drop_table('provider_credential')
    op.drop_index('ix_erasure_tenant', table_name='erasure')
    op.drop_table('erasure')
    op.drop_index('uq_budget_valid', table_name='budget', postgresql_where='removed_at is null')
    op.drop_index(op.f('ix_budget_tenant_id'), table_name='budget')
    op.drop_table('budget')
    op.drop_table('rate_limit')

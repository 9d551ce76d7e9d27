"""providers: new kinds and steps, and how providers stand

Revision ID: 0003
Revises: 0002
"""

from alembic import op
import sqlalchemy as sa
import sqlmodel
from sqlalchemy.dialects import postgresql

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

VARIANTS = tuple(f'variant-{number}' for number in range(1, 11))
# (table, column) -> the words before, the words added
WORDS = {
    ('generation', 'kind'): (('avatar', 'scene', 'avatar_scene'), ('image', 'enhance')),
    ('asset', 'step'): (('avatar', 'scene', 'input'), ('enhanced', *VARIANTS)),
    ('spend', 'step'): (('avatar', 'scene', 'input'), ('enhanced', *VARIANTS)),
    ('asset', 'role'): (('picture', 'input', 'raw'), ('partial',)),
}


def allow(words: dict[tuple[str, str], tuple[str, ...]]) -> None:
    for (table, column), allowed in words.items():
        quoted = ', '.join(f"'{word}'" for word in allowed)
        op.drop_constraint(op.f(f'ck_{table}_{column}'), table)
        op.create_check_constraint(op.f(f'ck_{table}_{column}'), table, f'{column} in ({quoted})')


def upgrade() -> None:
    allow({where: (*before, *added) for where, (before, added) in WORDS.items()})
    op.create_table('lane',
    sa.Column('provider', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('model', sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
    sa.Column('mode', sa.Enum('active', 'draining', 'paused', name='mode', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('creates_per_minute', sa.Integer(), nullable=True),
    sa.Column('next_create_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('note', sqlmodel.sql.sqltypes.AutoString(length=1000), nullable=False),
    sa.Column('changed_by', sqlmodel.sql.sqltypes.AutoString(length=12), nullable=True),
    sa.Column('changed_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('provider', 'model', name=op.f('pk_lane'))
    )
    op.create_table('breaker',
    sa.Column('provider', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('model', sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
    sa.Column('state', sa.Enum('closed', 'open', 'half_open', name='state', native_enum=False, create_constraint=True, length=20), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('successes', sa.Integer(), nullable=False),
    sa.Column('openings', sa.Integer(), nullable=False),
    sa.Column('trials', sa.Integer(), nullable=False),
    sa.Column('cause', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=True),
    sa.Column('opened_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('retry_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('probing_until', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('trial_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('changed_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('provider', 'model', name=op.f('pk_breaker'))
    )
    op.create_table('traffic',
    sa.Column('provider', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('model', sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
    sa.Column('minute', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('successes', sa.Integer(), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('busy', sa.Integer(), nullable=False),
    sa.Column('took', postgresql.ARRAY(sa.Integer()), nullable=False),
    sa.PrimaryKeyConstraint('provider', 'model', 'minute', name=op.f('pk_traffic'))
    )
    op.create_index('ix_traffic_minute', 'traffic', ['minute'], unique=False)
    op.create_table('busy',
    sa.Column('provider', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('busy_until', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.Column('reads_busy_until', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('provider', name=op.f('pk_busy'))
    )
    op.create_table('provider_event',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('provider', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('model', sqlmodel.sql.sqltypes.AutoString(length=100), nullable=False),
    sa.Column('type', sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
    sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_provider_event'))
    )
    op.drop_index('ix_asset_raw_stored', table_name='asset')
    op.create_index('ix_asset_raw_stored', 'asset', ['id'], unique=False, postgresql_where="role in ('raw', 'partial') and state = 'stored'")
    op.add_column('asset', sa.Column('used_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
    op.create_index('ix_asset_upload', 'asset', ['tenant_id', 'sha256'], unique=False, postgresql_where="role = 'input' and generation_id is null")
    op.create_index('ix_asset_upload_unused', 'asset', ['stored_at'], unique=False, postgresql_where="role = 'input' and generation_id is null and used_at is null and state = 'stored'")
    op.create_index('ix_generation_works_from', 'generation', [sa.text("(request -> 'image_asset_ids')")], unique=False, postgresql_using='gin', postgresql_where="kind = 'image' and status in ('queued', 'running', 'needs_review')")
    op.create_index('ix_generation_enhances', 'generation', [sa.text("(request ->> 'image_asset_id')")], unique=False, postgresql_where="kind = 'enhance' and status in ('queued', 'running', 'needs_review')")
    op.create_table('compatible_call',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('tenant_id', sa.Uuid(), nullable=False),
    sa.Column('key_id', sqlmodel.sql.sqltypes.AutoString(length=12), nullable=False),
    sa.Column('idempotency_key', sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
    sa.Column('request_hash', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('implied', sa.Boolean(), nullable=False),
    sa.Column('attempt', sa.Integer(), nullable=False),
    sa.Column('created_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
    sa.Column('answered_at', sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    sa.ForeignKeyConstraint(['tenant_id'], ['tenant.id'], name=op.f('fk_compatible_call_tenant_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_compatible_call'))
    )
    op.create_index('uq_compatible_call_key', 'compatible_call', ['tenant_id', 'idempotency_key'], unique=True)
    op.create_index('ix_compatible_call_implied', 'compatible_call', ['tenant_id', 'request_hash'], unique=False, postgresql_where='implied')
    op.create_index('ix_compatible_call_created', 'compatible_call', ['created_at'], unique=False)
    op.create_index('ix_provider_event_created', 'provider_event', ['created_at'], unique=False)
    op.create_index('ix_provider_event_provider', 'provider_event', ['provider', 'id'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_generation_enhances', table_name='generation')
    op.drop_index('ix_generation_works_from', table_name='generation')
    op.drop_index('ix_asset_upload_unused', table_name='asset')
    op.drop_index('ix_asset_upload', table_name='asset')
    op.drop_column('asset', 'used_at')
    op.drop_index('ix_compatible_call_created', table_name='compatible_call')
    op.drop_index('ix_compatible_call_implied', table_name='compatible_call')
    op.drop_index('uq_compatible_call_key', table_name='compatible_call')
    op.drop_table('compatible_call')
    op.drop_index('ix_asset_raw_stored', table_name='asset')
    op.create_index('ix_asset_raw_stored', 'asset', ['id'], unique=False, postgresql_where="role = 'raw' and state = 'stored'")
    op.drop_index('ix_provider_event_provider', table_name='provider_event')
    op.drop_index('ix_provider_event_created', table_name='provider_event')
    op.drop_table('provider_event')
    op.drop_table('busy')
    op.drop_index('ix_traffic_minute', table_name='traffic')
    op.drop_table('traffic')
    op.drop_table('breaker')
    op.drop_table('lane')
    allow({where: before for where, (before, _) in WORDS.items()})

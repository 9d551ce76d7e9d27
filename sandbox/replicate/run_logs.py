"""The logs of a prediction as they stand at a moment: a progress bar that grows, token counts at the end."""

from sandbox.replicate.predictions import Prediction

STEPS = 10


def run_logs(prediction: Prediction, now: float) -> str:
    """The log text; empty while the prediction waits in the queue."""
    phase = prediction.phase(now)
    if phase.started_at is None:
        return ""
    lines = [f"Using seed: {prediction.seed}", "Generating image..."]
    lines += [_bar(step, prediction.duration_s) for step in range(int(prediction.progress(now) * STEPS) + 1)]
    if phase.error:
        lines.append(phase.error)
    elif phase.status == "succeeded" and prediction.token_counts:
        text, image, output = prediction.token_counts
        lines += [
            f"Input text token count: {text}",
            f"Input image token count: {image}",
            f"Output token count: {output}",
            f"Total token count: {text + image + output}",
        ]
    return "\n".join(lines) + "\n"


def _bar(step: int, duration_s: float) -> str:
    spent, left = round(duration_s * step / STEPS), round(duration_s * (STEPS - step) / STEPS)
    rate = "?it/s" if not step or duration_s <= 0 else f"{STEPS / duration_s:5.2f}it/s"
    return f"{step * 100 // STEPS:3d}%|{'█' * step:<10}| {step}/{STEPS} [{_clock(spent)}<{_clock(left)}, {rate}]"


def _clock(seconds: int) -> str:
    return f"{seconds // 60:02d}:{seconds % 60:02d}"

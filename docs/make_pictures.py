"""Make the README's pictures from what the browser tests keep: run `pytest tests/e2e --shots` first."""

from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
SHOTS = HERE.parent / "tests" / "e2e" / "shots"
PICTURES = {
    "panel": "00 panel not yet right light.png",
    "widget": "01 widget 1 light.png",
    "headline": "01 figure 6 light.png",
}
LIMIT = 150_000  # bytes


def main() -> None:
    for name, shot in PICTURES.items():
        picture = Image.open(SHOTS / shot).convert("RGB")
        made = HERE / "pictures" / f"{name}.png"
        made.parent.mkdir(exist_ok=True)
        colours = picture.quantize(128, dither=Image.Dither.NONE)
        colours.save(made, optimize=True)
        if made.stat().st_size > LIMIT:
            raise SystemExit(f"{made.name} has {made.stat().st_size} bytes and may have {LIMIT}: show less of it")
        print(f"{made.relative_to(HERE.parent)}: {picture.width} x {picture.height}, {made.stat().st_size} bytes")


if __name__ == "__main__":
    main()

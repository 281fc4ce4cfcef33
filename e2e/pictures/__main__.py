"""`python -m e2e.pictures`: draw the pictures of the documentation again."""

from e2e.pictures.draw import PICTURES
from e2e.pictures.style import IMAGES, styled


def main() -> None:
    """Write every picture where the documentation has it."""
    for name, draw in PICTURES.items():
        path = IMAGES / f"{name}.svg"
        path.write_text(styled(draw))
        print(path.relative_to(IMAGES.parents[1]))


if __name__ == "__main__":
    main()

"""One target under atheris, Google's fuzzer, which seeks inputs that reach code not yet reached.

Runs in the environment that has atheris: `python -m e2e.fuzz.target NAME [options of libFuzzer]`.
"""

import sys

import atheris

with atheris.instrument_imports(include=["driftline_serving"]):
    from e2e.fuzz.mutate import MUTATORS
    from e2e.fuzz.oracles import ORACLES


def main() -> None:
    """Fuzz until the options say enough, or until an oracle does not hold."""
    name, *options = sys.argv[1:]
    change = MUTATORS.get(name)

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        changed = change(data, seed) if change and seed % 4 else None
        return changed[:longest] if changed else bytes(atheris.Mutate(data, longest))

    atheris.Setup([name, *options], ORACLES[name], custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

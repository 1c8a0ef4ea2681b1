"""The examples run on a small budget and check their own score; the README's code is what it says."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("script", sorted(p.name for p in (ROOT / "examples").glob("*.py")))
def test_an_example_reaches_its_score(script, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), "--quick"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "± 95 % interval" in done.stdout


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_readmes_study_runs_as_printed(capsys, monkeypatch):
    import jnn

    (code,) = (b for b in blocks("python") if "jnn.run" in b)
    monkeypatch.setattr(jnn, "use_cpu_cores", lambda: 4)  # the tests have started JAX already
    names: dict = {}
    exec(code.replace("jnn.seeds(10) * jnn.folds(5)", "jnn.seeds(2) * jnn.folds(2)"), names)
    told = capsys.readouterr().out
    printed = next(b for b in blocks("text") if "learning_rate" in b)
    settings = lambda text: re.findall(r"│ +([\d.]+) │ +([\d.]+) │", text)  # noqa: E731
    assert settings(told) == settings(printed) != []
    for snippet in blocks("python")[1:]:  # what comes later goes on with its names
        exec(snippet, names)
    assert names["result"].final().sizes == {
        "seed": 3,
        "fold": 5,
        "learning_rate": 1,
        "weight_decay": 1,
    }
    assert names["progress"].history["train_accuracy"].shape == (20,)


def test_the_readmes_snippets_are_python():
    assert [compile(code, "README.md", "exec") for code in blocks("python")]


def test_the_readme_names_files_that_are_there():
    for name in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / name).exists(), name

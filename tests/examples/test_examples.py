"""Every example runs as a user runs it, and says what it promises."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))

#: What an example's output must contain.
PROMISES = {
    "worked_graph.py": ["f = 42, df/dx = 24, df/dy = 10"],
    "tf1_graph.py": ["t = 2.000 x + 1.000"],
    "learning_rate.py": ["good (0.3): w = 3.000"],
    "zero_initialisation.py": ["zeros: loss 0.693", "100% right"],
    "dying_relu.py": ["dead: outputs [0. 0. 0. 0. 0.], gradients 0.000 (w), 0.000 (b)"],
    "small_numbers.py": ["[0.46 0.34 0.21]", "50 iterations", "gives 8", "to mean 0.0 and SD 1.0"],
    "clinical_trial.py": ["642", "[["],
    "digits.py": ["precision"],
    "shapes_in_folders.py": ["classes: {'circle': 0, 'square': 1}", "(25, 32, 32, 3) float32", "right"],
    "custom_training_loop.py": ["epoch 30"],
    "vanishing_gradients.py": ["He's weights"],
    "vanishing_through_time.py": ["LSTM that forgets little", "first it vanishes: ", "by more than 1.0e-03"],
    "series.py": ["benzene by the hour: ", "milk by the month: "],
    "air_quality_lstm.py": ["(1296, 1, 1)", "the forecast explains the series"],
    "milk_production.py": ["iteration 3000: MSE 0.00", "month 12: forecast ", "RMSE "],
    "milk_production_keras.py": ["4000 iterations: mean MSE 0.0", "month 12: forecast ", "RMSE "],
    "made_up.py": ["circle\n", "letter x\n", "####"],
    "sentiment.py": ["13,297", "a model that only counts words is right on 5"],
    "translation.py": ["95,018", "three thousand six hundred forty three "],
    "characters.py": ["33 different ones", "temperature 0.2: The lighthou|se stood "],
    "cats_and_dogs.py": ["420,802", "circle or cross: "],
    "flowers.py": ["4,143,749", ", taken for "],
    "scenes.py": ["conv2d_1         (None, 72, 72, 32)", "6 classes: "],
    "cifar10.py": ["1,250,858 parameters, "],
    "handwriting.py": ["of 150 are right"],
    "fine_tuning_vgg16.py": ["8,194 of 134,268,738 parameters are trained", "frozen weights as before: True"],
    "fine_tuning_mobilenet.py": ["1,873,930 of 3,239,114 parameters are trained, from conv_pw_10_bn"],
}
#: A number in an example's output, and the least it may be.
AT_LEAST = {
    "sentiment.py": (r"the LSTM is right on ([\d.]+)% of them", 95),
    "translation.py": (r"([\d.]+)% of 999 numbers it has not seen", 95),
}


def test_every_example_promises_something():
    assert {path.name for path in EXAMPLES} == set(PROMISES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path):
    if "sklearn" in path.read_text():
        pytest.importorskip("sklearn")
    if "PIL" in path.read_text():
        pytest.importorskip("PIL")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MINIGRAPH_QUIET": "1"}
    found = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert found.returncode == 0, found.stderr
    for promise in PROMISES[path.name]:
        assert promise in found.stdout
    if path.name in AT_LEAST:
        pattern, least = AT_LEAST[path.name]
        assert float(re.search(pattern, found.stdout)[1]) >= least

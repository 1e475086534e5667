"""What the commands on experiments say before anything runs."""

from argparse import Namespace

import pytest
from specs import SMALL

from harness.commands.experiments import planned
from harness.errors import SpecError


def test_an_unknown_metric_is_told_with_its_line(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(f"{SMALL}expect:\n  - {{metric: reach, at_least: 0.5}}\n  - metric: reech\n    at_least: 0.5\n")
    says = r"spec.yaml:31: expect\[1\].metric: there is no metric 'reech'; did you mean 'reach'\?"
    with pytest.raises(SpecError, match=says):
        planned(Namespace(spec=str(path), set=None, seed=None))

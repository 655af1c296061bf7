import signal

import pytest

from branchline.domain.activity import Activity
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter
from tests.workshop.waiting import until


@pytest.mark.kill
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGHUP])
def test_asking_twice_does_not_cut_the_end_short(home: Home, asked: signal.Signals) -> None:
    gate = home.path / "tmp" / "hook-runs"
    home.configure({"sandbox": "none"})
    home.commit(application(2, deploy=f"touch {gate}; sleep 60"))
    home.push()
    deploying = home.start("deploy", "store/master")
    until(gate.exists)
    for _ in range(3):
        deploying.send_signal(asked)
    deploying.communicate()
    gate.unlink()
    with home.opened() as platform:
        ended: Activity = platform.store.activities.recent()[0]
        assert (deploying.returncode, ended.state) == (128 + asked, "cancelled")
        assert litter(platform, home) == []

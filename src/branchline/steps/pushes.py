"""What becomes of pushes: which is deployed now, on which environment, and which was never written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from branchline.domain.environment import Environment, Project, Tier
from branchline.domain.names import environment_id
from branchline.domain.plan import slot, tier_of
from branchline.domain.push import FOUND, WATCHER, Decision, NewPush, Push, newest
from branchline.domain.remote import Followed
from branchline.errors import BadInput, Refused
from branchline.platform import Platform

NO_APP = 101
"""The error of a commit without an application's configuration."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A push that this process carries out, and the `project/environment` of its branch."""

    push: Push
    environment: str


class _Project:
    """One project while its pushes are decided on. Each one that is taken is seen by the next."""

    def __init__(self, platform: Platform, project: Project) -> None:
        self._platform = platform
        self._project = project
        self._plan = platform.plan(project)
        self._tips = platform.repository(project.name).branches()
        environments = platform.store.environments.of(project)
        self._environments = {each.branch: each for each in environments}
        self._branches = {each.name: each.branch for each in environments}
        self._active = Counter(each.tier for each in environments if each.status != "inactive")
        self._busy = {push.branch for push in platform.store.pushes.running() if push.project == project.name}
        self._promised = Counter(
            tier_of(self._plan, branch) for branch in self._busy if not self._is_active(branch)
        )
        """Slots that pushes which run now may need."""
        self.made: list[tuple[str, str, Tier]] = []
        """Environments to be made: name, branch and tier."""

    def decide(self, waiting: Sequence[Push]) -> Iterator[Decision]:
        """Of all that wait for one branch. One that nothing is decided on waits on."""
        branch = waiting[0].branch
        push, passed_over = newest(waiting, self._tips.get(branch))
        yield from passed_over
        if push is None or branch in self._busy:
            return
        decision = self._deletion(push) if push.new is None else self._deployment(push)
        if decision is not None:
            yield decision

    def _is_active(self, branch: str) -> bool:
        environment = self._environments.get(branch)
        return environment is not None and environment.status != "inactive"

    def _deletion(self, push: Push) -> Decision:
        environment = self._environments.get(push.branch)
        if environment is None or environment.status == "inactive":
            return Decision(push, "skipped", "the branch was deleted, and nothing ran for it")
        if environment.tier == "production":
            why = f"the branch was deleted, but {environment.path} is Production, which is never deactivated"
            return Decision(push, "skipped", why)
        return Decision(push, "running")

    def _deployment(self, push: Push) -> Decision | None:
        if self._is_active(push.branch):
            return Decision(push, "running")
        name, tier = environment_id(push.branch), tier_of(self._plan, push.branch)
        path = f"{self._project.name}/{name}"
        if push.branch not in self._environments:
            other = self._branches.setdefault(name, push.branch)
            if other != push.branch:
                taken = f"{path} is the environment of branch {other}: choose another name"
                return Decision(push, "failed", taken)
            self.made.append((name, push.branch, tier))
        if why := slot(self._plan, tier, self._active):
            free = f"branchline deactivate {self._project.name}/NAME, then branchline deploy {path}"
            return Decision(push, "skipped", f"{path} stays inactive: {why} (free one: {free})")
        if slot(self._plan, tier, self._active + self._promised):
            return None
        if lacks := self._no_application(push):
            return Decision(push, "skipped", lacks)
        self._promised[tier] += 1
        return Decision(push, "running")

    def _no_application(self, push: Push) -> str | None:
        """A push of a broken one fails in its own operation, with every problem."""
        try:
            self._platform.app(self._project, push.new or "")
        except BadInput as error:
            return error.message if error.number == NO_APP else None
        return None


def waiting(platform: Platform) -> Mapping[str, Sequence[Push]]:
    """By project."""
    found: dict[str, list[Push]] = {}
    for push in platform.store.pushes.waiting():
        found.setdefault(push.project, []).append(push)
    return found


def take(platform: Platform, project_name: str, waits: Sequence[Push]) -> Sequence[Push]:
    """Decides on pushes of one project; gives those that are to be carried out now: of each branch the newest, and no two.

    They were read before the branches are: a row is written behind its branch.
    """
    project = platform.store.environments.project(project_name)
    by_branch: dict[str, list[Push]] = {}
    for push in waits:
        by_branch.setdefault(push.branch, []).append(push)
    one = _Project(platform, project)
    decisions = [decision for pushes in by_branch.values() for decision in one.decide(pushes)]
    if not decisions:
        return ()
    return platform.store.pushes.settle(project, decisions, one.made, platform.clock())


def claim(platform: Platform, push_id: int) -> Claimed:
    """For the process that is to carry it out: one that was taken, or waits. Raises Refused when it is not to be."""
    push = platform.store.pushes.get(push_id)
    project = platform.store.environments.project(push.project)
    if push.state == "waiting":
        settled = platform.store.pushes.settle(project, [Decision(push, "running")], [], platform.clock())
        push = settled[0] if settled else push
    if push.state != "running" or push.activity_id is not None:
        is_ = f"is {push.state}" + (f": {push.reason}" if push.reason else "")
        raise Refused(179, f"Push {push.id} ({push.what}) {is_}.", f"branchline push list {push.project}")
    return Claimed(push, _environment_of(platform, project, push).path)


def _environment_of(platform: Platform, project: Project, push: Push) -> Environment:
    """By its branch alone: the name of another branch's environment may look the same."""
    environments = platform.store.environments
    found = next((each for each in environments.of(project) if each.branch == push.branch), None)
    if found is not None:
        return found
    name, tier = environment_id(push.branch), tier_of(platform.plan(project), push.branch)
    return environments.add(project, name, push.branch, tier, "inactive", platform.clock())


def scan(platform: Platform, project: Project) -> Sequence[Push]:
    """Writes down what a repository has and the outbox lacks: its pushes could not be, or came by another way."""
    found = missed(platform, project)
    return platform.store.pushes.add_found(found, platform.clock()) if found else ()


def missed(platform: Platform, project: Project) -> Sequence[tuple[NewPush, int | None]]:
    """Branches that are where no push has put them, with the id of their last row.

    One that a promotion has moved, or whose tip was deployed by hand, is none of them.
    """
    pushes = platform.store.pushes
    last, deployed = pushes.newest(project), pushes.deployed(project)
    tips = platform.repository(
        project.name
    ).branches()  # a row is written behind its branch: never too few of these
    found: list[tuple[NewPush, int | None]] = []
    for branch in sorted(last.keys() | tips.keys()):
        before, tip = last.get(branch), tips.get(branch)
        if (before.new if before else None) == tip:
            continue
        at = deployed.get((branch, tip)) if tip else None
        if at is None or (before is not None and at < before.created_at):
            old = before.new if before else None
            found.append((NewPush(project.name, branch, old, tip, FOUND), before.id if before else None))
    return found


def follow_remote(platform: Platform, project_name: str, url: str) -> Followed:
    """Moves a project's branches as those of an outside repository have moved; that is a push like any other.

    Raises Refused when a commit is refused that was not refused before: the others are followed all the same.
    """
    project = platform.store.environments.project(project_name)
    followed = platform.follow_remote(project.name, url)
    platform.store.pushes.add(
        [
            NewPush(project.name, each.branch, each.old, each.new, WATCHER)
            for each in followed.moved
            if each.branch
        ],
        platform.clock(),
    )
    if followed.refused:
        listed = "".join(f"\n- {branch}: {why}" for branch, why in followed.refused.items())
        raise Refused(
            183,
            f"{in_words(followed)}. {len(followed.refused)} of its branches are not followed:{listed}",
            "correct them there; each commit is refused once",
        )
    return followed


def in_words(followed: Followed) -> str:
    """In one line."""
    moved = [f"{each.branch} ({each.new[:12] if each.new else 'deleted'})" for each in followed.moved]
    left = [f"{branch} {why}" for branch, why in followed.left.items()]
    return "; ".join([f"followed: {', '.join(moved)}" if moved else "nothing has moved", *left])

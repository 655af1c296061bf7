"""The types of the forms' fields. Patterns are checked by the Prefect server, and again by the flows' steps."""

from typing import Annotated, Literal

from pydantic import Field

from branchline.domain.person import MOST_CHARACTERS
from branchline.domain.person import NAME as PERSON

PROJECT = r"[a-z0-9][a-z0-9-]{0,62}"
NAME = r"[\w.,/@+=-]{1,200}"
"""Of an environment or its branch."""

Project = Annotated[str, Field(pattern=rf"^{PROJECT}$", examples=["store"])]
EnvironmentPath = Annotated[str, Field(pattern=rf"^{PROJECT}/{NAME}$", examples=["store/master"])]
EnvironmentName = Annotated[str, Field(pattern=rf"^{NAME}$", examples=["staging"])]
PromotedFrom = Annotated[str, Field(pattern=rf"^{PROJECT}(/{NAME})?$", examples=["store"])]
"""A project, or one of its environments where the plan leaves the choice."""
Ref = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}$", examples=["master"])]
DeploymentId = Annotated[str, Field(pattern=r"^d-[0-9a-f]{1,10}$", examples=["d-8280396b1e"])]
"""The beginning of one."""
Reason = Annotated[str, Field(max_length=500)]
"""In anybody's words; shown as it is, never read by anything."""
Gate = Literal["soak", "verified", "approval", "freeze", "parity", "backup"]
PlanHash = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$", examples=["c03afe1e1d5d"])]
When = Annotated[str, Field(min_length=1, max_length=100, examples=["2026-12-01 14:00 Europe/Berlin"])]
TimeZone = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]{1,64}$", examples=["Europe/Berlin"])]
Duration = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?[smhd]?$", examples=["15m"])]
Digest = Annotated[str, Field(pattern=r"^(sha256:)?[0-9a-f]{4,64}$", examples=["2c26b46b68ff"])]
"""The beginning of one."""
ReleaseId = Annotated[str, Field(pattern=r"^r-[0-9a-f]{1,10}$", examples=["r-8280396b1e"])]
"""The beginning of one."""
PersonName = Annotated[str, Field(pattern=rf"^{PERSON}$", examples=["ann"])]
Signature = Annotated[str, Field(max_length=MOST_CHARACTERS)]
"""As ssh-keygen -Y sign writes it, line ends or not."""
PushNumber = Annotated[int, Field(ge=1, examples=[17])]
RemoteUrl = Annotated[
    str,
    Field(
        pattern=r"^(https?://[^\s@?#]+|(ssh|git|file)://([^\s:@/]+@)?[^\s@?#]+|([\w.+-]+@)?[\w.-]+:[^\s/@:][^\s@]*|/[^\s@]+)$",
        examples=["https://git.example.org/store.git"],
    ),
]
"""Without a password: parameters are shown in clear."""

"""The types of the forms' fields. Patterns are checked by the Prefect server, and again by the flows' steps."""

from typing import Annotated

from pydantic import Field

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

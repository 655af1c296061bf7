"""The types of the forms' fields. Patterns are checked by the Prefect server, and again by the flows' steps."""

from typing import Annotated

from pydantic import Field

Project = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", examples=["store"])]
EnvironmentPath = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*/[^\s]+$", examples=["store/master"])]
Ref = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}$", examples=["master"])]

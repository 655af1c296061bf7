"""Configuration files, read into the domain's dataclasses. Every problem of a file is said at once."""

from __future__ import annotations

from branchline.config.app_files import SANITIZE_FILE, app_keys, read_app
from branchline.config.plans import plan_keys, plan_named, read_plans
from branchline.config.problems import BadFiles, bad_files
from branchline.config.secret_places import SecretReference
from branchline.config.settings import Settings, read_settings, settings_keys
from branchline.config.yaml_source import Document, Problem, load_mapping, load_yaml

__all__ = [
    "SANITIZE_FILE",
    "BadFiles",
    "Document",
    "Problem",
    "SecretReference",
    "Settings",
    "app_keys",
    "bad_files",
    "load_mapping",
    "load_yaml",
    "plan_keys",
    "plan_named",
    "read_app",
    "read_plans",
    "read_settings",
    "settings_keys",
]

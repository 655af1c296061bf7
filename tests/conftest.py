pytest_plugins = [
    "tests.workshop.plugin",
    "tests.workshop.postgres",
    "tests.workshop.postgresql_bench",
    "tests.workshop.mysql",
    "tests.workshop.benches",
]

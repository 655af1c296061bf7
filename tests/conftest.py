pytest_plugins = ["tests.workshop.plugin"]

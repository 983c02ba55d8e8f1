"""The pure functions of module_utils as filters, for plays."""


class FilterModule:
    """Filters by name."""

    def filters(self):
        return {}

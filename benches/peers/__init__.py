"""The peers' side of the planner's comparison: instances, other planners, and one judge for all.

Nothing here is part of the product, and nothing here decides anything for it. Models of other
systems are written anew from their published description; programs of other projects are run as
they are installed.
"""

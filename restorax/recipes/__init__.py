"""How every published entry is trained: one frozen recipe per zoo name, one file per task."""

from . import blur, jpeg, missing, mixed, noise, photo, video

RECIPES = {
    **noise.RECIPES,
    **jpeg.RECIPES,
    **missing.RECIPES,
    **blur.RECIPES,
    **mixed.RECIPES,
    **photo.RECIPES,
    **video.RECIPES,
}
"""Recipes by zoo name. ``restorax train NAME --data DIR`` runs one."""

__all__ = ["RECIPES"]

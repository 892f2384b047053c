"""What the query page reads."""

from __future__ import annotations

from django.db import models


class Dish(models.Model):
    """A line of the menu."""

    name = models.CharField(max_length=80)
    price = models.DecimalField(max_digits=6, decimal_places=2)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

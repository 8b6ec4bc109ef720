"""The application of the employee directory."""

from django.apps import AppConfig
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.utils.translation import gettext_lazy as _


class FormConfig(AppConfig):
    """Invalidates the pages after every committed change made through a model."""

    name = "form"
    verbose_name = _("Employee directory")

    def ready(self):
        for model in self.get_models():
            for signal in (post_save, post_delete):
                signal.connect(_changed, sender=model, dispatch_uid=f"pages of {model.__name__} {id(signal)}")


def _changed(using, **_):
    """
    Invalidates after the commit: before it, a request that fills the page again would still see the old row.
    QuerySet.update() and bulk_create() send no signals: code that uses them must call pages.invalidate itself.
    """
    from form import pages

    # Once is enough for all rows in an import.
    if not any(call is pages.invalidate for _, call, *_ in transaction.get_connection(using).run_on_commit):
        transaction.on_commit(pages.invalidate, using=using)

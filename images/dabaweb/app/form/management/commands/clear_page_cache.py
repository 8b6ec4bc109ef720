"""For rows that were not written through Django."""

from django.core.management.base import BaseCommand, CommandError

from form import pages


class Command(BaseCommand):
    """Invalidates every cached page; the next request for each reads the database."""

    help = "Makes the pages read the database again, for example after you wrote rows by SQL on the master."

    def handle(self, *args, **options):
        """Fails if Redis is down: the caller must not think that it was done."""
        if pages.invalidate() is None:
            raise CommandError("Redis does not answer, so the pages stay as they are for up to an hour; try again.")
        self.stdout.write("The pages read the database again.")

"""For rows that were written past Django."""

from django.core.management.base import BaseCommand, CommandError

from form import pages


class Command(BaseCommand):
    """Makes every kept page invisible; the next request of each reads the database."""

    help = "Makes the pages read the database again, for example after rows were written by SQL on the master."

    def handle(self, *args, **options):
        """Fails where Redis is away: the caller must not believe that it was done."""
        if pages.invalidate() is None:
            raise CommandError("Redis does not answer, so the pages stay as they are for up to an hour; try again.")
        self.stdout.write("The pages read the database again.")

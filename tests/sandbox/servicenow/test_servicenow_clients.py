"""The published clients pysnc and pysnow work, by their own calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from instance_process import Client, InstanceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 10_500


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstanceProcess]:
    """One for all of them: each makes records of its own."""
    folder = tmp_path_factory.mktemp("snow")
    process = InstanceProcess(folder, "--rows", str(ROWS))
    yield process
    process.kill()


@pytest.mark.parametrize(
    "case",
    [
        "reads_what_it_wrote",
        "a_record_has_the_id_its_maker_chose",
        "updates_send_what_changed",
        "journals_are_written_in_order",
        "files_go_up_and_down",
        "pages_over_everything",
        "queries_find",
        "many_are_updated_and_deleted_at_once",
        "long_queries_go_through_the_batch_api",
        "deleted_records_are_gone",
        "oauth_with_a_password",
        "oauth_with_the_client_alone",
        "refusals_are_told_apart",
    ],
)
def test_pysnc(case: str, pysnc: Client, instance: InstanceProcess) -> None:
    pysnc.call(case, instance, ROWS=str(ROWS))


@pytest.mark.parametrize(
    "case",
    [
        "reads_what_it_wrote",
        "updates_and_deletes",
        "what_it_asked_before_does_not_matter_to_a_create",
        "journals_are_written_in_order",
        "files_go_up_and_down",
        "a_form_without_boundary_is_refused",
        "pages_over_everything",
        "queries_find",
        "oauth_with_a_password",
        "refusals_are_told_apart",
    ],
)
def test_pysnow(case: str, pysnow: Client, instance: InstanceProcess) -> None:
    pysnow.call(case, instance, ROWS=str(ROWS))

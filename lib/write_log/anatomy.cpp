// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/anatomy.h"

#include "lib/co/anatomy.h"
#include "lib/write_log/logged_store.h"

namespace ballast::write_log {

BALLAST_BEGIN_ANATOMY
constinit const anatomy::Type Anatomy::logged_store{
    "logged store",
    sizeof(LoggedStore),
    {
        {"log", BALLAST_AT(LoggedStore, log_), &write_log},
        {"log_name", BALLAST_AT(LoggedStore, log_name_)},
        {"let_go", BALLAST_AT(LoggedStore, let_go_)},
        {"going_past", BALLAST_AT(LoggedStore, going_past_)},
        {"past", offsetof(LoggedStore, past_) + co::Anatomy::event_set, sizeof(bool)},
        {"past_status", BALLAST_AT(LoggedStore, past_status_)},
        {"leaving", BALLAST_AT(LoggedStore, leaving_)},
        {"wanted_until", BALLAST_AT(LoggedStore, wanted_until_)},
    }};

constinit const anatomy::Type Anatomy::write_log{
    "write log",
    sizeof(WriteLog),
    {
        {"device_failure", offsetof(WriteLog, device_) + offsetof(Device, failure_),
         sizeof(Device::failure_)},
        // Of the last superblock that was written, or is being written.
        {"superblock_tail",
         offsetof(WriteLog, superblock_) + offsetof(Superblock, tail) +
             offsetof(Position, sequence),
         sizeof(Position::sequence)},
        {"contents", BALLAST_AT(WriteLog, contents_), &contents},
        {"ring", BALLAST_AT(WriteLog, ring_), &ring},
        {"pacer", BALLAST_AT(WriteLog, pacer_), &pacer},
        {"writer", BALLAST_AT(WriteLog, writer_), &writer},
        {"reaper", BALLAST_AT(WriteLog, reaper_), &reaper},
    }};

constinit const anatomy::Type Anatomy::contents{
    "contents of a log",
    sizeof(Contents),
    {
        // Of libstdc++'s deque: a pointer to the first element.
        {"blocks", offsetof(Contents, blocks_) + anatomy::deque_first, sizeof(void*), &position},
        {"block_count", BALLAST_AT(Contents, count_)},
        {"end", BALLAST_AT(Contents, end_), &position},
        {"runs", offsetof(Contents, index_) + offsetof(Index, runs_) + anatomy::map_size,
         sizeof(std::size_t)},
        // A vector of marks.
        {"marks", offsetof(Contents, ages_) + offsetof(Ages, marks_), sizeof(void*)},
        {"marks_end", offsetof(Contents, ages_) + offsetof(Ages, marks_) + sizeof(void*),
         sizeof(void*)},
    }};

constinit const anatomy::Type Anatomy::ring{
    "ring of a log",
    sizeof(Ring),
    {
        {"tail", BALLAST_AT(Ring, tail_), &position},
        {"next", BALLAST_AT(Ring, next_), &position},
        {"segments", offsetof(Ring, sizes_) + offsetof(Sizes, segments), sizeof(Sizes::segments)},
        {"segment_bytes", segment_bytes, 0},
    }};

constinit const anatomy::Type Anatomy::position{"position",
                                                sizeof(Position),
                                                {
                                                    {"sequence", BALLAST_AT(Position, sequence)},
                                                    {"offset", BALLAST_AT(Position, offset)},
                                                }};

constinit const anatomy::Type Anatomy::pacer{"pacer",
                                             sizeof(Pacer),
                                             {
                                                 {"bytes", BALLAST_AT(Pacer, bytes_)},
                                                 {"time", BALLAST_AT(Pacer, time_)},
                                             }};

constinit const anatomy::Type Anatomy::writer{
    "writer",
    sizeof(Writer),
    {
        {"open_changes", offsetof(Writer, open_) + co::Anatomy::size_of<Writer::Entry>,
         sizeof(std::size_t)},
        {"open_bytes", BALLAST_AT(Writer, open_bytes_)},
        {"slots", BALLAST_AT(Writer, slots_), &slot},
        {"slot_count", Writer::most_on_their_way, 0},
        {"written", offsetof(Writer, written_) + co::Anatomy::mark, sizeof(std::uint64_t)},
        {"durable", offsetof(Writer, durable_) + co::Anatomy::mark, sizeof(std::uint64_t)},
        {"epoch", BALLAST_AT(Writer, epoch_)},
    }};

constinit const anatomy::Type Anatomy::slot{
    "block of a log",
    sizeof(Writer::Slot),
    {
        {"number",
         offsetof(Writer::Slot, header) + offsetof(Header, self) + offsetof(Position, sequence),
         sizeof(Position::sequence)},
        {"offset",
         offsetof(Writer::Slot, header) + offsetof(Header, self) + offsetof(Position, offset),
         sizeof(Position::offset)},
        {"length", offsetof(Writer::Slot, header) + offsetof(Header, length),
         sizeof(Header::length)},
        {"changes", offsetof(Writer::Slot, header) + offsetof(Header, record_count),
         sizeof(Header::record_count)},
        {"ended", BALLAST_AT(Writer::Slot, ended)},
    }};

constinit const anatomy::Type Anatomy::reaper{
    "reaper",
    sizeof(Reaper),
    {
        {"step", BALLAST_AT(Reaper, step_)},
        {"is_stuck", BALLAST_AT(Reaper, is_stuck_)},
        {"hurry_to", BALLAST_AT(Reaper, hurry_to_)},
        // The first block behind the batch.
        {"batch_end",
         offsetof(Reaper, batch_) + offsetof(Batch, end_) + offsetof(Position, sequence),
         sizeof(Position::sequence)},
    }};
BALLAST_END_ANATOMY

}  // namespace ballast::write_log

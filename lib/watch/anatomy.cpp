// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/anatomy.h"

#include "lib/base/limits.h"
#include "lib/watch/command_record.h"
#include "lib/watch/mailbox.h"
#include "lib/watch/snapshot.h"

namespace ballast::watch {

BALLAST_BEGIN_ANATOMY
// By the keys' names.
constinit const anatomy::Type Anatomy::limits{
    "limits",
    sizeof(config::Limits),
    {
        {"deadline", BALLAST_AT(config::Limits, deadline)},
        {"slow", BALLAST_AT(config::Limits, slow)},
        {"stall_after", BALLAST_AT(config::Limits, stall_after)},
        {"stall_window", BALLAST_AT(config::Limits, stall_window)},
        {"busy_for", BALLAST_AT(config::Limits, busy_for)},
        {"max_iops", BALLAST_AT(config::Limits, max_iops)},
        {"max_bandwidth", BALLAST_AT(config::Limits, max_bandwidth)},
        {"burst", BALLAST_AT(config::Limits, burst)},
    }};

constinit const anatomy::Type Anatomy::record{
    "command",
    sizeof(CommandRecord),
    {
        {"number", BALLAST_AT(CommandRecord, number)},
        {"name", BALLAST_AT(CommandRecord, name)},
        {"opcode", BALLAST_AT(CommandRecord, opcode)},
        {"has_range", BALLAST_AT(CommandRecord, has_range)},
        {"lba", BALLAST_AT(CommandRecord, lba)},
        {"blocks", BALLAST_AT(CommandRecord, blocks)},
        {"arrived", BALLAST_AT(CommandRecord, arrived)},
        {"answered", BALLAST_AT(CommandRecord, answered)},
        {"stage", BALLAST_AT(CommandRecord, stage)},
        {"stage_since", BALLAST_AT(CommandRecord, stage_since)},
        {"spent", BALLAST_AT(CommandRecord, spent)},
        {"orphan", BALLAST_AT(CommandRecord, orphan)},
        {"adopts", BALLAST_AT(CommandRecord, adopts)},
    }};

// Those that `list` shows.
constinit const anatomy::Type Anatomy::counters{
    "counters",
    sizeof(LunCounters),
    {
        {"commands", BALLAST_AT(LunCounters, commands)},
        {"good", BALLAST_AT(LunCounters, good)},
        {"check_condition", BALLAST_AT(LunCounters, check_condition)},
        {"busy", BALLAST_AT(LunCounters, busy)},
        {"task_set_full", BALLAST_AT(LunCounters, task_set_full)},
        {"read", BALLAST_AT(LunCounters, read)},
        {"written", BALLAST_AT(LunCounters, written)},
    }};

constinit const anatomy::Type Anatomy::mailbox{
    "mailbox",
    sizeof(Mailbox),
    {
        {"version", BALLAST_AT(Mailbox, version)},
        {"flags", BALLAST_AT(Mailbox, flags)},
        {"ring_offset", BALLAST_AT(Mailbox, ring_offset)},
        {"ring_bytes", BALLAST_AT(Mailbox, ring_bytes)},
    }};
BALLAST_END_ANATOMY

}  // namespace ballast::watch

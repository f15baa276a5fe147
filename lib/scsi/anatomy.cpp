// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/anatomy.h"

#include "lib/co/anatomy.h"
#include "lib/io/anatomy.h"
#include "lib/scsi/task_set.h"
#include "lib/scsi/task_slot.h"
#include "lib/volume/anatomy.h"
#include "lib/watch/anatomy.h"

namespace ballast::scsi {

BALLAST_BEGIN_ANATOMY
constinit const anatomy::Type Anatomy::task_set{
    "task set",
    sizeof(TaskSet),
    {
        {"limits", BALLAST_AT(TaskSet, limits_), &watch::Anatomy::limits},
        {"counters", BALLAST_AT(TaskSet, counters_), &watch::Anatomy::counters},
        {"waiting", offsetof(TaskSet, waiting_) + co::Anatomy::first_of<TaskSet::Slot>,
         sizeof(TaskSet::Slot*), &slot},
        {"ending", offsetof(TaskSet, ending_) + co::Anatomy::first_of<TaskSet::Slot>,
         sizeof(TaskSet::Slot*), &slot},
        {"held", offsetof(TaskSet, held_) + co::Anatomy::first_of<TaskSet::Slot>,
         sizeof(TaskSet::Slot*), &slot},
        {"orphans", offsetof(TaskSet, orphans_) + co::Anatomy::first_of<TaskSet::Slot>,
         sizeof(TaskSet::Slot*), &slot},
        {"unanswered", offsetof(TaskSet, unanswered_) + co::Anatomy::gate_count,
         sizeof(std::size_t)},
        {"stalled", BALLAST_AT(TaskSet, stalled_)},
        {"stalled_since", BALLAST_AT(TaskSet, stalled_since_)},
        // Of libstdc++'s optional: the flag is behind the value.
        {"counts_as_stalled", offsetof(TaskSet, stalled_place_) + sizeof(StalledLuns::Place),
         sizeof(bool)},
    }};

constinit const anatomy::Type Anatomy::slot{
    "slot",
    sizeof(TaskSet::Slot),
    {
        {"record", BALLAST_AT(TaskSet::Slot, record), &watch::Anatomy::record},
        {"next", co::Anatomy::next_of<TaskSet::Slot>, sizeof(TaskSet::Slot*), &slot},
        {"hold", offsetof(TaskSet::Slot, request) + volume::Anatomy::request_hold,
         sizeof(volume::Fences::Hold*), &volume::Anatomy::hold},
        {"adopters", BALLAST_AT(TaskSet::Slot, adopters)},  // a list, which an adopter names
        {"adopts_of", offsetof(TaskSet::Slot, adoption) + offsetof(Adoption, of),
         sizeof(Adoption::of)},
        {"buffer_length", offsetof(TaskSet::Slot, buffer) + io::Anatomy::buffer_length,
         sizeof(std::size_t)},
    }};
BALLAST_END_ANATOMY

}  // namespace ballast::scsi

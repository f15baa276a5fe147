// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/anatomy.h"

#include "lib/co/anatomy.h"
#include "lib/volume/volume.h"

namespace ballast::volume {

BALLAST_BEGIN_ANATOMY
constinit const anatomy::Type Anatomy::volume{
    "volume",
    sizeof(Volume),
    {
        {"block_shift", BALLAST_AT(Volume, block_shift_)},
        {"capacity", BALLAST_AT(Volume, capacity_)},
        {"holds", offsetof(Volume, fences_) + offsetof(Fences, root_), sizeof(Fences::Hold*),
         &hold},
    }};

constinit const anatomy::Type Anatomy::hold{
    "hold",
    sizeof(Fences::Hold),
    {
        {"first", BALLAST_AT(Fences::Hold, first_)},
        {"end", BALLAST_AT(Fences::Hold, end_)},
        {"order", BALLAST_AT(Fences::Hold, order_)},
        {"blockers", BALLAST_AT(Fences::Hold, blockers_)},
        {"kind", BALLAST_AT(Fences::Hold, kind_)},
        {"fenced", BALLAST_AT(Fences::Hold, fenced_)},
        {"fenced_at", BALLAST_AT(Fences::Hold, fenced_at_)},
        {"wait", offsetof(Fences::Hold, waker_) + co::Anatomy::waker_wait, sizeof(co::WaitRecord*),
         &co::Anatomy::wait},
        {"left", BALLAST_AT(Fences::Hold, left_), &hold},
        {"right", BALLAST_AT(Fences::Hold, right_), &hold},
    }};
BALLAST_END_ANATOMY

}  // namespace ballast::volume

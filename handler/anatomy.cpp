// SPDX-License-Identifier: Apache-2.0
#include "handler/anatomy.h"

#include "handler/device.h"
#include "lib/watch/anatomy.h"

namespace ballast::handler {

BALLAST_BEGIN_ANATOMY
constinit const anatomy::Type Anatomy::device{"device",
                                              sizeof(Device),
                                              {
                                                  {"ring", BALLAST_AT(Device, ring_), &ring},
                                              }};

constinit const anatomy::Type Anatomy::ring{
    "ring",
    sizeof(Ring),
    {
        {"mailbox", BALLAST_AT(Ring, head_), &watch::Anatomy::mailbox},
    }};
BALLAST_END_ANATOMY

}  // namespace ballast::handler

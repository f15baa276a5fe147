// SPDX-License-Identifier: Apache-2.0
// Two gateways of one image: LUNs with lock=standby, each with the target port groups that
// targetcli would have made on its machine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/ring/support.h"

namespace ballast::rbd_test {

// Adds the LUN of gateway 1 or 2: its TPG has the tag `gateway`, and is the one that is enabled.
// Null: refused.
std::unique_ptr<ring_test::Lun> add_gateway(const std::string& image, unsigned gateway,
                                            const std::string& more = "");

// States in SET TARGET PORT GROUPS and in the report.
inline constexpr unsigned active = 0x0;
inline constexpr unsigned standby = 0x2;
inline constexpr unsigned transitioning = 0xf;
// Asks once for this state of the gateway's own group.
ring_test::Answer set_state(ring_test::Lun& lun, unsigned gateway, unsigned state);
// The state of a group in REPORT TARGET PORT GROUPS; 0xff: there is no such group, or no report.
unsigned reported(ring_test::Lun& lun, unsigned group);

// TEST UNIT READY, beyond unit attentions.
ring_test::Answer ready(ring_test::Lun& lun);
bool is_not_ready(const ring_test::Answer& answer, unsigned additional_sense);
bool stands_by(ring_test::Lun& lun);
bool serves(ring_test::Lun& lun);
// Repeats set_state(active) while it is answered BUSY, as an initiator does. Returns whether it was
// GOOD in the end.
bool take_over(ring_test::Lun& lun, unsigned gateway);

}  // namespace ballast::rbd_test

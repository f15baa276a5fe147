// SPDX-License-Identifier: Apache-2.0
// Looks at the machine's files, and waits only as long as it may.
//
// While a LUN or a backstore is unlinked or removed, the kernel locks its folder in configfs. That
// takes as long as its store holds a command, which may be for ever. Any thread.
#pragma once

#include <chrono>
#include <optional>
#include <type_traits>
#include <utility>

#include "lib/base/errand.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl {

// A machine that was very busy took more than a second.
inline constexpr Nanoseconds files_patience = std::chrono::seconds{5};
// What to say when it is over.
inline constexpr const char* files_hang = "the kernel's files under /sys cannot be read just now";

// Returns what `look` makes of the files. nullopt: nothing within `patience`, or there was no
// memory or thread for it. `look` then goes on, on a thread of its own, until the process ends; it
// uses only what it owns.
template <class Look>
std::optional<std::invoke_result_t<Look, const Files&>> look_with_patience(
    const Files& files, Look look, Nanoseconds patience = files_patience) {
  using Seen = std::invoke_result_t<Look, const Files&>;
  return ask_with_patience<Seen>("look-at-kernel", patience,
                                 [files, look = std::move(look)] { return look(files); });
}

}  // namespace ballast::ctl

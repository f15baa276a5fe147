// SPDX-License-Identifier: Apache-2.0
// The LUN of a fire drill, and all that it stands on: a file, a loop device over it, a
// device-mapper device over that, a backstore of Ballast, a target on 127.0.0.1 alone, and a
// session of this machine's own initiator.
//
// The store can really freeze: a suspended device-mapper device keeps every bio and answers none,
// as an array or a path does that no longer answers. The plugin's `fault` wrapper freezes above
// Linux's block layer, so it would not show what the kernel below the plugin does.
//
// Everything has a name that only a drill gives, so it can be found and removed by whoever comes
// later. Nothing is saved: targetcli's saveconfig.json is not touched. All of this blocks;
// single-threaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl::drill {

inline constexpr const char* name = "ballast-drill";  // of the backstore and of the dm device
inline constexpr const char* target = "iqn.2026-01.org.ballast:drill";
inline constexpr const char* folder = "/var/lib/ballast/drill";
inline constexpr const char* store = "/var/lib/ballast/drill/store";

// What this machine lacks for a drill: a sentence that says what to do, or nothing.
std::optional<std::string> lacking(const Files& files);

// What a drill has left behind, each in a few words: "the target iqn…". Empty: nothing.
std::vector<std::string> leftovers(const Files& files);

// The first free TCP port of 127.0.0.1 from 3260 on. Free means that the kernel's target can listen
// on it: it cannot where another listens on the same port of 0.0.0.0.
Result<std::uint16_t> free_port();

// Makes everything, logs in, and returns the name of the disk ("sdc"). After an error the caller
// has remove_all() remove what there is.
Result<std::string> make(const Files& files, Bytes size, std::uint16_t port);

Result<void> freeze();
// Thaws a store that is frozen.
Result<void> thaw(const Files& files);

// Thaws, and removes all that leftovers() finds; what is not there is passed over. Returns what
// went wrong; if nothing has, nothing is left.
std::vector<std::string> remove_all(const Files& files);

}  // namespace ballast::ctl::drill

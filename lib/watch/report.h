// SPDX-License-Identifier: Apache-2.0
// Reports on the LUNs as JSON: the interface between the plugin and programs that show them
// (ballastctl, the metrics exporter, a script behind `ballastctl --json`). ballast-json(5) is its
// manual: targetcli-config/man/ballast-json.5.
//
// Pure functions of snapshots, for any thread. The text is one line of valid UTF-8, whatever bytes
// a name holds. "luns" has a LUN for each snapshot, in their order. "stuck" has threads that do not
// go on (lib/watch/watchdog.h). What the counters mean is in counters.h. Only std::bad_alloc may be
// thrown.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/watch/bus.h"
#include "lib/watch/snapshot.h"
#include "lib/watch/stall.h"
#include "lib/watch/stuck.h"

namespace ballast::watch::report {

struct Report {
  bus::Method method;
  std::string (*write)(std::span<const LunSnapshot> luns, const FromOutside& outside);
  Lists lists{};  // those that it shows
};
// One for each method of the bus.
std::span<const Report> all();

std::string list(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string inflight(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string slow(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string stats(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string tasks(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string log(std::span<const LunSnapshot> luns, const FromOutside& outside);
// Of either signal.
std::string stall(const StallNews& news);

}  // namespace ballast::watch::report

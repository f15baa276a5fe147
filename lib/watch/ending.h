// SPDX-License-Identifier: Apache-2.0
// How a command ended, and why so: what the slow-request log and ballastctl say of it.
#pragma once

#include <cstdint>
#include <string>

namespace ballast::watch {

enum class Because : std::uint8_t {
  done,             // answered with what became of it
  adopted,          // answered with what became of an orphan that had done the same
  ended_in_time,    // it was told to end, and certainly was not done
  not_under_way,    // nothing of it was at the backend
  shed,             // the LUN is stalled, and others need the room
  orphan_runs,      // it waited for an orphan that does the same, and that still runs
  orphaned,         // answered, and its operations go on
  closing,          // the LUN is
  outcome_unknown,  // the LUN closes, its operations go on, and it must not be repeated
  // Nobody is answered: an orphan ended.
  orphan_done,
  orphan_not_done,
};

struct Ending {
  const char* status = "";  // a literal, as SAM writes it; of an orphan's end nothing
  Because because = Because::done;
};

// "BUSY: it goes on as an orphan", "orphan ended: done".
std::string to_string(const Ending& ending);
// "was answered BUSY after 20.0 s: it goes on as an orphan", "ended as an orphan after 31.2 s:
// done".
std::string sentence(const Ending& ending, const std::string& age);

}  // namespace ballast::watch

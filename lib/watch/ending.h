// SPDX-License-Identifier: Apache-2.0
// How a command ended, and why: the text for the slow-request log and ballastctl.
#pragma once

#include <cstdint>
#include <string>

namespace ballast::watch {

enum class Because : std::uint8_t {
  done,             // answered with its own result
  adopted,          // answered with the result of an orphan that did the same
  ended_in_time,    // it was told to end, and certainly was not done
  not_under_way,    // nothing of it was at the backend
  shed,             // the LUN is stalled, and other commands need the room
  orphan_runs,      // it waited for an orphan that does the same and still runs
  orphaned,         // answered, while its operations go on
  closing,          // the LUN is closing
  outcome_unknown,  // the LUN closes, its operations go on, and it must not be repeated
  // These two are no answers: an orphan ended.
  orphan_done,
  orphan_not_done,
};

struct Ending {
  const char* status = "";  // a literal, as SAM writes it; not used when an orphan ends
  Because because = Because::done;
};

// "BUSY: it goes on as an orphan", "orphan ended: done".
std::string to_string(const Ending& ending);
// "was answered BUSY after 20.0 s: it goes on as an orphan", "ended as an orphan after 31.2 s:
// done".
std::string sentence(const Ending& ending, const std::string& age);

}  // namespace ballast::watch

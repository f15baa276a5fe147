// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/ending.h"

#include <fmt/format.h>

namespace ballast::watch {
namespace {

const char* words(Because because) noexcept {
  switch (because) {
    case Because::done:
      return "";
    case Because::adopted:
      return "an orphan had done the same";
    case Because::ended_in_time:
      return "it was stopped in time, and not done";
    case Because::not_under_way:
      return "nothing of it was at the storage";
    case Because::shed:
      return "the LUN is stalled";
    case Because::orphan_runs:
      return "an orphan that does the same is still running";
    case Because::orphaned:
      return "it goes on as an orphan";
    case Because::closing:
      return "the LUN is closing";
    case Because::outcome_unknown:
      return "the LUN was closed while it was under way, and it must not be repeated";
    case Because::orphan_done:
      return "done";
    case Because::orphan_not_done:
      return "not done";
  }
  return "";
}

bool is_answer(Because because) noexcept {
  return because != Because::orphan_done && because != Because::orphan_not_done;
}

std::string with_reason(const std::string& text, Because because) {
  const char* const why = words(because);
  return *why == '\0' ? text : text + ": " + why;
}

}  // namespace

std::string to_string(const Ending& ending) {
  return with_reason(is_answer(ending.because) ? ending.status : "orphan ended", ending.because);
}

std::string sentence(const Ending& ending, const std::string& age) {
  return with_reason(is_answer(ending.because)
                         ? fmt::format("was answered {} after {}", ending.status, age)
                         : fmt::format("ended as an orphan after {}", age),
                     ending.because);
}

}  // namespace ballast::watch

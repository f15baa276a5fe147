// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/command_record.h"

namespace ballast::watch {

const char* to_string(Stage stage) noexcept {
  switch (stage) {
    case Stage::queue:
      return "queue";
    case Stage::limit:
      return "limit";
    case Stage::fence:
      return "fence";
    case Stage::elevator:
      return "elevator";
    case Stage::source:
      return "source";
    case Stage::backend:
      return "backend";
    case Stage::log:
      return "log";
    case Stage::answer:
      return "answer";
  }
  return "unknown stage";
}

}  // namespace ballast::watch

// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as a configuration string, behind a line end as a ballast.conf for it. What is
// accepted must come back from its own text. What is refused must be refused in one clean line that
// is not much longer than what was given.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/base/values.h"
#include "lib/lun/config.h"
#include "lib/lun/profiles.h"

using namespace ballast;
using namespace ballast::lun;

namespace {

[[noreturn]] void stop(const char* what, std::string_view text) {
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(text.size()), text.data());
  std::abort();
}

// The longest messages list all keys and repeat the value.
void check_sentence(const Error& error, std::string_view given) {
  const std::string& message = error.message;
  if (message.empty() || error.errno_value == 0) {
    stop("no sentence", given);
  }
  if (message.size() > 2000 + 8 * given.size()) {
    stop("a sentence that is too long", message);
  }
  if (!config::parse_text("", config::format_text(message)).ok()) {
    stop("a message that is not printable UTF-8", message);
  }
}

void check_comes_back(const LunConfig& config) {
  LunConfig own = config;
  own.profile.clear();  // its settings are in `own` now
  const std::string text = to_string(own);
  const Result<LunConfig> again = parse(text);
  if (!again.ok() && again.error().errno_value != ENAMETOOLONG) {
    stop("what was accepted is refused", text);
  }
  if (again.ok() && !(again.value() == own)) {
    stop("it has become another configuration", text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  const std::string all{reinterpret_cast<const char*>(input), size};
  const std::size_t end = std::min(all.find('\n'), all.size());
  const std::string text = all.substr(0, end);
  const std::string file = all.substr(std::min(end + 1, all.size()));
  const Result<LunConfig> alone = parse(text);
  if (alone.ok()) {
    check_comes_back(alone.value());
  } else {
    check_sentence(alone.error(), text);
  }
  const Result<Profiles> profiles = Profiles::parse(file, "/etc/ballast/ballast.conf");
  if (!profiles.ok()) {
    check_sentence(profiles.error(), file);
    return 0;
  }
  const Result<LunConfig> with = parse(text, profiles.value());
  if (with.ok()) {
    check_comes_back(with.value());
  } else {
    check_sentence(with.error(), all);
  }
  (void)settings(text, &profiles.value());
  return 0;
}

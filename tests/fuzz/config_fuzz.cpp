// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as a configuration string, behind a line end as a ballast.conf for it. What is
// accepted must come back from its own text. What is refused must be refused in one clean line that
// is not much longer than what was given.
#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>

#include "lib/lun/config.h"
#include "lib/lun/profiles.h"
#include "tests/fuzz/check.h"

using namespace ballast;
using namespace ballast::lun;

namespace {

// The longest messages list all keys and repeat the value.
void check_refusal(const Error& error, std::string_view given) {
  test::check(error.errno_value != 0, "no errno", given);
  test::check_sentence(error.message, 2000 + 8 * given.size());
}

void check_comes_back(const LunConfig& config) {
  LunConfig own = config;
  own.profile.clear();  // its settings are in `own` now
  const std::string text = to_string(own);
  const Result<LunConfig> again = parse(text);
  test::check(again.ok() || again.error().errno_value == ENAMETOOLONG,
              "what was accepted is refused", text);
  test::check(!again.ok() || again.value() == own, "it has become another configuration", text);
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
    check_refusal(alone.error(), text);
  }
  const Result<Profiles> profiles = Profiles::parse(file, "/etc/ballast/ballast.conf");
  if (!profiles.ok()) {
    check_refusal(profiles.error(), file);
    return 0;
  }
  const Result<LunConfig> with = parse(text, profiles.value());
  if (with.ok()) {
    check_comes_back(with.value());
  } else {
    check_refusal(with.error(), all);
  }
  (void)settings(text, &profiles.value());
  return 0;
}

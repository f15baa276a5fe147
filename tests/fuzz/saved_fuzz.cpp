// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as rtslib's saveconfig.json, which the plugin reads when a store is missing, and
// ballastctl for check. What ballastctl finds in it the plugin must find too: else it would make a
// file anew whose data are only not there yet. A file that cannot be used must be refused in one
// clean, short line.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "handler/saved_configuration.h"
#include "lib/base/saved_configuration.h"
#include "lib/lun/config.h"
#include "targetcli-config/ballastctl/check/check.h"
#include "tests/fuzz/machine.h"

using namespace ballast;
using namespace ballast::ctl;

namespace {

constexpr const char* path = saved_configuration_files[0];

const test::Machine& machine() {
  static const test::Machine all;
  static const bool known = ::setenv("BALLAST_SAVED_CONFIGURATION", all.real(path).c_str(), 1) == 0;
  test::check(known, "no environment");
  return all;
}

void check_found(const Saved& saved) {
  for (const auto& [name, configuration] : saved.inventory.backstores) {
    const Result<lun::LunConfig> config = lun::parse(configuration);
    if (config && !config.value().store.file.path.empty()) {
      test::check(handler::saved_configuration_has(config.value().store.file.path),
                  "the plugin does not know the saved file", configuration);
    }
  }
  test::check(check::judge_restored(saved, saved.inventory).empty(), "all is there, and missed");
  test::check(check::judge_saved(saved, saved.inventory).empty(), "all is saved, and missed");
  test::check(check::judge_restored(saved, {}).size() >= saved.inventory.backstores.size(),
              "nothing is there, and not missed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  machine().write(path, {reinterpret_cast<const char*>(input), size});
  const Result<std::optional<Saved>> saved = inventory_saved(Files{machine().root()});
  if (saved.ok()) {
    test::check(saved.value().has_value(), "the file is there, and was not found");
    check_found(*saved.value());
  } else {
    constexpr std::size_t longest = 400;
    test::check_sentence(saved.error().message, longest);
  }
  (void)handler::saved_configuration_has("/srv/vol0.raw");
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// KeptModes: the file that has what initiators have set on a LUN with MODE SELECT (mode_keeper.h).
//
// It is /var/lib/ballast/volumes/modes/LUN. It names the LUN's store, as another store that gets
// the same name begins with its own defaults. The folder may hang: errands read and write it. As an
// initiator can change its mind for as long as the folder hangs, a LUN has one such errand at a
// time. That writes what was set last, when the folder answers again.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/base/line_limit.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/scsi/mode_keeper.h"

namespace ballast::lun {

class KeptModes final : public scsi::ModeKeeper {
 public:
  using Values = scsi::ModePages::Values;
  // How long find() and keep() wait for the folder.
  static constexpr Nanoseconds patience = std::chrono::seconds{1};
  struct Place {
    std::string folder;  // empty: nothing is kept
    std::string lun;     // the backstore's name
    std::string store;   // as the configuration string names it
  };

  KeptModes(co::Executor& executor, Place place);

  // Nothing: nothing was kept of this LUN on this store. ETIMEDOUT: the folder did not answer
  // within `limit`. Waits; any thread.
  static Result<std::optional<Values>> find(const Place& place, Nanoseconds limit = patience);

  co::Executor& executor() override { return executor_; }
  bool keeps() const { return !place_.folder.empty(); }
  co::Task<bool> keep(Values values) override;

 private:
  class Writer;
  bool say_not_kept(std::string_view why);

  co::Executor& executor_;
  const Place place_;
  std::shared_ptr<Writer> writer_;
  LineLimit lines_{1, std::chrono::seconds{10}};
};

}  // namespace ballast::lun

// SPDX-License-Identifier: Apache-2.0
// ModeKeeper: keeps for the LUN's next life what initiators have set with MODE SELECT.
//
// A new life is a daemon that was started again. No initiator learns of it: its session stands, and
// one that has turned the write cache off sends no flushes. So the LUN must still be as it was set.
//
// Driving thread only.
#pragma once

#include "lib/co/executor.h"
#include "lib/co/task.h"
#include "lib/scsi/mode_pages.h"

namespace ballast::scsi {

class ModeKeeper {
 public:
  virtual co::Executor& executor() = 0;
  // Ends within bounded time; one at a time. False: the values could not be kept, which it has said
  // in the log.
  virtual co::Task<bool> keep(ModePages::Values values) = 0;

 protected:
  ~ModeKeeper() = default;
};

}  // namespace ballast::scsi

// SPDX-License-Identifier: Apache-2.0
// CopySource: another LUN, whose blocks an EXTENDED COPY may read.
//
// Which LUNs these are is an operator's decision (copy_group), as nobody here can judge what the
// initiator that sent the command may use. The other LUN may be driven by another thread, may hang,
// and may be closed at any time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/executor.h"
#include "lib/co/task.h"
#include "lib/scsi/copy_list.h"
#include "lib/scsi/naa.h"

namespace ballast::scsi {

class CopySource {
 public:
  virtual ~CopySource() = default;
  // Any thread. The capacity may be outdated by the time that blocks are read.
  virtual CopyLun unit() const = 0;
  // Reads whole blocks, at most io::ScratchPool::buffer_size bytes. The task runs on `asker`, and
  // so does `cancel`. It ends at once if that is requested, with `cancelled`; the source may then
  // still be reading, but not into `to`. not_ready: the LUN is closed. no_resource: there is no
  // memory, or too many ask.
  virtual co::Task<IoStatus> read(co::Executor& asker, co::CancelToken cancel, Lba lba,
                                  std::span<std::byte> to) = 0;
};

class CopySources {
 public:
  virtual ~CopySources() = default;
  // Null if there is no such LUN, if more than one has the name, or if the copy must not read it.
  virtual std::shared_ptr<CopySource> find(const Naa& naa) = 0;
};

}  // namespace ballast::scsi

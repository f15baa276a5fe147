// SPDX-License-Identifier: Apache-2.0
// Where a LUN gets its store from, which may take its time: whoever waits for it looks now and
// then. The driving thread of the LUN's executor, or, before that is driven, the thread that opens
// it.
#pragma once

#include <memory>

#include "lib/backend/backend.h"
#include "lib/backend/store_opener.h"
#include "lib/backend/store_register.h"
#include "lib/base/result.h"

namespace ballast::lun {

struct Store {
  std::unique_ptr<backend::Backend> backend;
  // The store's: it outlives each opening. May be null.
  std::shared_ptr<backend::UnheardFlush> unheard_flush;
};

class StoreSource {
 public:
  using State = backend::StoreOpener::State;

  // Nobody wants the store any more. Does not wait.
  virtual ~StoreSource() = default;

  virtual State state() = 0;
  // Why the last attempt failed.
  virtual Error error() = 0;
  // Once, when opened. May throw std::bad_alloc.
  virtual Store take() = 0;
};

}  // namespace ballast::lun

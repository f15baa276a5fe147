// SPDX-License-Identifier: Apache-2.0
// The store of a LUN that is a file or a block device: StoreOpener (lib/backend/store_opener.h)
// opens it, on a thread of its own.
#pragma once

#include "lib/backend/factory.h"
#include "lib/backend/store_opener.h"
#include "lib/lun/store_source.h"

namespace ballast::lun {

class FileSource final : public StoreSource {
 public:
  // Starts opening. What `context` borrows outlives the backend.
  FileSource(backend::StoreOrder order, const backend::OpenContext& context)
      : config_{order.config}, context_{context}, opener_{std::move(order)} {}

  // Waits for the end of the first attempt, no longer than `patience`.
  State wait(Nanoseconds patience) { return opener_.wait(patience); }

  State state() override { return opener_.state(); }
  Error error() override { return opener_.error(); }
  Store take() override {
    backend::OpenFile file = opener_.take();
    std::shared_ptr<backend::UnheardFlush> unheard_flush = file.claim.unheard_flush();
    return Store{backend::assemble(config_, std::move(file), context_), std::move(unheard_flush)};
  }

 private:
  const config::LunConfig config_;
  const backend::OpenContext context_;
  backend::StoreOpener opener_;
};

}  // namespace ballast::lun

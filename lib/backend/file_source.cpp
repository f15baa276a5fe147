// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_source.h"

#include <utility>

#include "lib/backend/file.h"
#include "lib/backend/store_opener.h"

namespace ballast::backend {
namespace {

class FileSource final : public StoreSource {
 public:
  FileSource(StoreOrder order, const OpenContext& context)
      : path_{order.config.file.path},
        lun_{order.lun},
        shared_{order.config.file.lock == FileLock::pr},
        context_{context},
        opener_{std::move(order)} {}

  State wait(Nanoseconds patience) override { return opener_.wait(patience); }
  State state() override { return opener_.state(); }
  Error error() override { return opener_.error(); }
  Store take() override {
    OpenFile file = opener_.take();
    Store store{.unheard_flush = file.claim.unheard_flush(), .label = file.label};
    if (shared_) {
      store.backend = make_shared_file(std::move(file), path_, lun_, context_);
    } else {
      store.backend = make_file(std::move(file), path_, context_);
    }
    return store;
  }

 private:
  const std::string path_;
  const std::string lun_;
  const bool shared_;
  const OpenContext context_;
  StoreOpener opener_;
};

}  // namespace

Result<void> check_file_store(const StoreOrder& order) {
  return StoreOpener::check(order);
}

std::unique_ptr<StoreSource> open_file_store(StoreOrder order, const OpenContext& context) {
  return std::make_unique<FileSource>(std::move(order), context);
}

}  // namespace ballast::backend

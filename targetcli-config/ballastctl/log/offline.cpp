// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/log/offline.h"

#include <fmt/format.h>

#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using backend::StoreSource;

// How long a disk may take to open a file on it.
constexpr Nanoseconds patience = std::chrono::minutes{1};
constexpr Bytes buffer_bytes{std::uint64_t{4} << 20};

backend::Store open(Offline& offline, const OpenStore::Wanted& wanted) {
  backend::StoreOrder order;
  order.config.kind = backend::find_kind("file");
  order.config.file.path = wanted.path;
  order.config.file.cache = wanted.cache;
  order.lun = "ballastctl";
  order.size = wanted.size;
  order.logical_block = wanted.block;
  order.has_log = true;                                      // the caller looks at the label
  order.is_saved = [](const std::string&) { return true; };  // so nothing is created
  const std::unique_ptr<StoreSource> source = or_fail(
      backend::open(std::move(order), offline.context(wanted.size, wanted.block, wanted.thread)));
  switch (source->wait(patience)) {
    case StoreSource::State::opened:
      return source->take();
    case StoreSource::State::trying:
      fail(
          fmt::format("{} does not answer within a minute: its disk hangs; try again when it "
                      "answers",
                      wanted.path));
    default:
      fail(source->error().message);
  }
}

OpenStore::Wanted log_at(const std::string& path) {
  const std::uint64_t size = size_at(path).value();
  if (size < write_log::page) {
    fail(fmt::format("{} is no write log: it has {} bytes; check the path", path, size));
  }
  return {.path = path,
          .size = Bytes{size / write_log::page * write_log::page},
          .block = Bytes{write_log::page},
          .cache = backend::CacheMode::direct,
          .thread = 1};
}

}  // namespace

// --- Offline -------------------------------------------------------------------------------------

Offline::Offline()
    : uring_{or_fail(io::Uring::open(executor_, {.max_operations = 1024, .store_threads = 2}))},
      buffers_{or_fail(io::BufferPool::open(executor_, buffer_bytes))},
      loop_{std::make_unique<io::Loop>(executor_, clock_, uring_.get())} {
  loop_->set_under_way(
      [](void* self) { return static_cast<Offline*>(self)->helper_.pending() > 0; }, this);
}

void Offline::run(co::Task<void> task) {
  co::TaskGroup group{executor_};
  group.spawn("ballastctl", std::move(task));
  loop_->run_until([](void* tasks) { return static_cast<co::TaskGroup*>(tasks)->live() == 0; },
                   &group);
}

backend::OpenContext Offline::context(Bytes size, Bytes block, std::uint8_t thread) {
  return {.executor = executor_,
          .uring = *uring_,
          .buffers = *buffers_,
          .helper = helper_,
          .library_operations = library_operations_,
          .size = size,
          .logical_block = block,
          .store_thread = thread};
}

// --- OpenStore -----------------------------------------------------------------------------------

OpenStore::OpenStore(Offline& offline, const Wanted& wanted)
    : offline_{offline}, store_{open(offline, wanted)} {}

OpenStore::~OpenStore() {
  offline_.run(store_.backend->close());
}

// --- OpenLog -------------------------------------------------------------------------------------

OpenLog::OpenLog(Offline& offline, const std::string& path)
    : offline_{offline},
      store_{offline, log_at(path)},
      device_{store_.backend()},
      superblock_{read_superblock(path)} {
  // Whoever had the log until now may have written another superblock.
  write_log::Superblocks superblocks{device_};
  superblock_ = or_fail(offline.run(superblocks.read()));
  // Whether it is whole; whose it is does not matter here.
  const write_log::Identity its{.log = superblock_.log,
                                .store = superblock_.store,
                                .owner = superblock_.owner,
                                .lun = superblock_.lun,
                                .block = superblock_.block,
                                .size = {}};
  if (const Result<void> whole = write_log::check_identity(superblock_, its, device_);
      !whole.ok()) {
    fail(whole.error().message);
  }
}

Result<write_log::Found> OpenLog::scan() {
  return offline_.run(write_log::scan(device_, superblock_, {}));
}

}  // namespace ballast::ctl

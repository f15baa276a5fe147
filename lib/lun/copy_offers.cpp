// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/copy_offers.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "lib/base/log.h"
#include "lib/co/event.h"
#include "lib/co/sleep.h"
#include "lib/lun/ask.h"

namespace ballast::lun {

// One wish: blocks that a copy waits for.
struct CopyRead {
  CopyRead(Lba from, std::span<std::byte> memory, co::Event& event)
      : lba{from}, length{memory.size()}, to{memory}, answered{&event} {}

  const Lba lba;
  const Bytes length;
  std::mutex mutex;
  // The asker's, which it takes away when it leaves. Null: nobody waits, or the answer is on its
  // way.
  std::span<std::byte> to;
  co::Event* answered;
  IoStatus status = IoStatus::cancelled;
  std::atomic<bool> posting{false};    // the answer, to the asker's executor
  std::atomic<bool> unwanted{false};   // the asker has left
  volume::Request* request = nullptr;  // only the thread of the LUN that has the blocks uses it

  // On the asker's thread. Returns false if the answer is on its way.
  bool abandon() {
    const std::lock_guard lock{mutex};
    unwanted.store(answered != nullptr, std::memory_order_relaxed);
    return std::exchange(answered, nullptr) != nullptr;
  }
  void answer(IoStatus with, std::span<const std::byte> blocks);
};

// On the thread of the LUN that has the blocks; does nothing if nobody waits. The lock is not held
// while the answer is posted: if the asker's mailbox is full, the asker must be able to go on.
void CopyRead::answer(IoStatus with, std::span<const std::byte> blocks) {
  co::Event* event = nullptr;
  {
    const std::lock_guard lock{mutex};
    event = std::exchange(answered, nullptr);
    if (event == nullptr) {
      return;
    }
    if (ok(with)) {
      std::memcpy(to.data(), blocks.data(), to.size());
    }
    status = with;
    posting.store(true, std::memory_order_relaxed);
  }
  event->executor().post(co::Message{
      .run = [](void* context, std::int64_t) { static_cast<co::Event*>(context)->set(); },
      .context = event});
  posting.store(false, std::memory_order_release);
}

// --- the offer

CopyOffer::CopyOffer(std::string group, const scsi::Naa& naa, const volume::Volume& volume,
                     CopyReads& reads)
    : name_{reads.executor().name()},
      group_{std::move(group)},
      naa_{naa},
      block_{volume.logical_block()},
      capacity_{volume.capacity().value()},
      reads_{&reads} {}

scsi::CopyLun CopyOffer::unit() const {
  return {.naa = naa_,
          .logical_block = block_,
          .capacity = BlockCount{capacity_.load(std::memory_order_relaxed)}};
}

IoStatus CopyOffer::send(Wish wish, const std::shared_ptr<CopyRead>& read) {
  CopyReads* reads = nullptr;
  {
    const std::lock_guard lock{mutex_};
    reads = reads_;
    if (reads == nullptr) {
      return IoStatus::not_ready;
    }
    if (reads->on_the_way_.load(std::memory_order_relaxed) >= 2 * CopyReads::most_waiting) {
      return IoStatus::no_resource;
    }
    reads->on_the_way_.fetch_add(2, std::memory_order_relaxed);
  }
  try {
    tell(
        reads->executor_,
        [reads, wish, read] {
          reads->take(wish, read);
          reads->arrived();
        },
        [reads, read](const Error&) {
          read->answer(IoStatus::no_resource, {});
          reads->arrived();
        });
  } catch (const std::bad_alloc&) {
    reads->on_the_way_.fetch_sub(2, std::memory_order_release);
    return IoStatus::no_resource;
  }
  reads->on_the_way_.fetch_sub(1, std::memory_order_release);
  return IoStatus::ok;
}

// The asker's own lines about slow commands do not name the other LUN, which says nothing itself:
// no command of its own may be slow.
void CopyOffer::complain(const co::Executor& asker) {
  const std::lock_guard lock{mutex_};
  if (const auto left_out = lines_.next_in_words(asker.now()); left_out.has_value()) {
    log(LogLevel::warning, "{}: a copy has waited for {}, which has the blocks, for {} s{}",
        asker.name(), name_, std::chrono::duration_cast<std::chrono::seconds>(patience).count(),
        *left_out);
  }
}

co::Task<IoStatus> CopyOffer::read(co::Executor& asker, co::CancelToken cancel, Lba lba,
                                   std::span<std::byte> to) {
  co::Event answered{asker, "the LUN that has the blocks"};
  std::shared_ptr<CopyRead> read;
  try {
    read = std::make_shared<CopyRead>(lba, to, answered);
  } catch (const std::bad_alloc&) {
    co_return IoStatus::no_resource;
  }
  if (const IoStatus sent = send(Wish::read, read); !ok(sent)) {
    co_return sent;
  }
  bool came = co_await answered.wait_until(asker.now() + patience, cancel);
  if (!came && !cancel.requested()) {
    complain(asker);
    came = co_await answered.wait(cancel);
  }
  if (!came && read->abandon()) {
    (void)send(Wish::stop, read);
    co_return IoStatus::cancelled;
  }
  if (!came) {
    co_await answered.wait();
  }
  while (read->posting.load(std::memory_order_acquire)) {
    co_await co::yield(asker);
  }
  // It was not the asker who cancelled that.
  co_return read->status == IoStatus::cancelled ? IoStatus::not_ready : read->status;
}

// --- all offers

void CopyOffers::add(std::shared_ptr<CopyOffer> offer) {
  const std::lock_guard lock{mutex_};
  offers_.push_back(std::move(offer));
}

void CopyOffers::remove(const CopyOffer* offer) noexcept {
  const std::lock_guard lock{mutex_};
  std::erase_if(offers_, [offer](const auto& one) { return one.get() == offer; });
}

std::shared_ptr<CopyOffer> CopyOffers::find(const std::string& group, const scsi::Naa& naa,
                                            const CopyOffer* but) {
  const std::lock_guard lock{mutex_};
  std::shared_ptr<CopyOffer> found;
  for (const std::shared_ptr<CopyOffer>& offer : offers_) {
    if (offer.get() == but || offer->naa_ != naa || offer->group_ != group) {
      continue;
    }
    if (found != nullptr) {
      return nullptr;
    }
    found = offer;
  }
  return found;
}

// --- the LUN that has the blocks

struct CopyReads::Serving : co::ListNode<Serving> {
  volume::Request request;
};

CopyReads::CopyReads(co::Executor& executor, CopyOffers* offers, std::function<bool()> stopped)
    : executor_{executor},
      offers_{offers},
      stopped_{std::move(stopped)},
      tasks_{executor},
      buffers_{executor, "a buffer for the copy of another LUN"} {}

CopyReads::~CopyReads() {
  withdraw();
  BALLAST_ASSERT(on_the_way_.load(std::memory_order_acquire) == 0);
}

void CopyReads::offer(const std::string& group, const scsi::Naa& naa, volume::Volume& volume) {
  if (offers_ == nullptr || withdrawn_ || (offer_ != nullptr && offer_->naa_ == naa)) {
    return;
  }
  auto offer = std::make_shared<CopyOffer>(group, naa, volume, *this);
  offers_->add(offer);
  take_back();
  volume_ = &volume;
  offer_ = std::move(offer);
}

void CopyReads::capacity_changed() {
  if (offer_ != nullptr) {
    offer_->capacity_.store(volume_->capacity().value(), std::memory_order_relaxed);
  }
}

void CopyReads::withdraw() {
  withdrawn_ = true;
  take_back();
}

void CopyReads::take_back() {
  if (offer_ == nullptr) {
    return;
  }
  offers_->remove(offer_.get());
  {
    const std::lock_guard lock{offer_->mutex_};
    offer_->reads_ = nullptr;
  }
  offer_.reset();
  for (Serving* one = serving_.front(); one != nullptr; one = serving_.after(*one)) {
    one->request.stop();
  }
}

co::Task<void> CopyReads::join() {
  while (on_the_way_.load(std::memory_order_acquire) > 0) {
    co_await co::yield(executor_);
  }
  co_await tasks_.join();
}

std::shared_ptr<scsi::CopySource> CopyReads::find(const scsi::Naa& naa) {
  return offer_ == nullptr ? nullptr : offers_->find(offer_->group_, naa, offer_.get());
}

// May throw std::bad_alloc.
void CopyReads::take(CopyOffer::Wish wish, const std::shared_ptr<CopyRead>& read) {
  if (wish == CopyOffer::Wish::stop) {
    if (read->request != nullptr) {
      read->request->stop();
    }
  } else if (executor_.memory().is_short() && !executor_.memory().renew()) {
    read->answer(IoStatus::no_resource, {});
  } else {
    tasks_.spawn("copy of another LUN", serve(read));
  }
}

co::Task<void> CopyReads::serve(std::shared_ptr<CopyRead> read) {
  Serving serving;
  serving_.push_back(serving);
  read->request = &serving.request;
  if (offer_ == nullptr) {
    serving.request.stop();
  }
  const IoStatus status = co_await fetch(*read, serving.request);
  if (!ok(status)) {
    read->answer(status, {});
  }
  read->request = nullptr;
  serving_.remove(serving);
}

// Answers it, if there are blocks to be had.
co::Task<IoStatus> CopyReads::fetch(CopyRead& read, volume::Request& request) {
  co::Semaphore::Guard slot = co_await buffers_.slot(request.token());
  if (!slot) {
    co_return IoStatus::cancelled;
  }
  if (read.unwanted.load(std::memory_order_relaxed)) {
    co_return IoStatus::cancelled;
  }
  if (stopped_()) {
    co_return IoStatus::not_ready;
  }
  // It may have shrunk since the copy has looked.
  if (!fits(read.lba.value(), volume_->blocks_in(read.length).value(), volume_->capacity())) {
    co_return IoStatus::out_of_range;
  }
  const io::ScratchPool::Buffer buffer{buffers_, std::move(slot)};
  if (!buffer) {
    co_return IoStatus::no_resource;
  }
  const std::span<std::byte> memory = buffer.bytes().first(read.length.value());
  const iovec segment{memory.data(), memory.size()};
  const IoStatus status =
      co_await volume_->read(request, read.lba, io::SgView{std::span{&segment, 1}});
  if (ok(status)) {
    read.answer(status, memory);
  }
  co_return status;
}

}  // namespace ballast::lun

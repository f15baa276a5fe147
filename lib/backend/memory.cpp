// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/memory.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <new>

namespace ballast::backend {
namespace {

constexpr std::uint64_t page_size = 4096;

class Memory final : public Backend {
 public:
  Memory(co::Executor& executor, Bytes size, Bytes logical_block)
      : executor_{executor},
        geometry_{.size = size,
                  .logical_block = logical_block,
                  .physical_block = Bytes{page_size},
                  .discard_granularity = Bytes{page_size}} {}

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return geometry_; }
  const Capabilities& capabilities() const override { return capabilities_; }
  std::string description() const override { return "memory"; }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua, co::CancelToken) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap, co::CancelToken) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken) override;
  co::Task<IoStatus> flush(co::CancelToken) override { co_return IoStatus::ok; }
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override {
    pages_.clear();
    co_return;
  }

 private:
  using Page = std::unique_ptr<std::byte[]>;

  // Returns the memory of `page`, zeroed if it is new; null if there is none to be had.
  std::byte* allocate(std::uint64_t page) noexcept;
  void clear(std::uint64_t begin, std::uint64_t end, bool free_whole_pages);

  co::Executor& executor_;
  Geometry geometry_;
  const Capabilities capabilities_{.discard = true,
                                   .discard_zeroes = true,
                                   .zero = true,
                                   .zero_unmaps = true,
                                   .fua = true,
                                   .volatile_cache = false,  // a flush would change nothing
                                   .block_status = true,
                                   .exclusive = true};
  std::map<std::uint64_t, Page> pages_;  // by page number; ordered, for block_status
};

std::byte* Memory::allocate(std::uint64_t page) noexcept {
  try {
    Page& memory = pages_[page];
    if (memory == nullptr) {
      memory = std::make_unique<std::byte[]>(page_size);
    }
    return memory.get();
  } catch (const std::bad_alloc&) {
    const auto empty = pages_.find(page);
    if (empty != pages_.end() && empty->second == nullptr) {
      pages_.erase(empty);
    }
    return nullptr;
  }
}

co::Task<IoStatus> Memory::read(Bytes offset, io::SgView to, co::CancelToken) {
  std::uint64_t done = 0;
  while (done < to.size()) {
    const std::uint64_t at = offset.value() + done;
    const std::uint64_t length = std::min(page_size - at % page_size, to.size() - done);
    const io::SgView part = to.slice(done, length);
    const auto page = pages_.find(at / page_size);
    if (page == pages_.end()) {
      io::zero(part);
    } else {
      io::copy(part, std::span<const std::byte>{page->second.get() + at % page_size, length});
    }
    done += length;
  }
  co_return IoStatus::ok;
}

co::Task<IoStatus> Memory::write(Bytes offset, io::SgView from, Fua, co::CancelToken) {
  std::uint64_t done = 0;
  while (done < from.size()) {
    const std::uint64_t at = offset.value() + done;
    const std::uint64_t length = std::min(page_size - at % page_size, from.size() - done);
    std::byte* const page = allocate(at / page_size);
    if (page == nullptr) {
      co_return IoStatus::no_space;
    }
    io::copy(std::span<std::byte>{page + at % page_size, length}, from.slice(done, length));
    done += length;
  }
  co_return IoStatus::ok;
}

// Touches only pages that exist, so a gigabyte of holes costs nothing.
void Memory::clear(std::uint64_t begin, std::uint64_t end, bool free_whole_pages) {
  auto page = pages_.lower_bound(begin / page_size);
  while (page != pages_.end() && page->first * page_size < end) {
    const std::uint64_t start = page->first * page_size;
    const std::uint64_t from = std::max(begin, start);
    const std::uint64_t to = std::min(end, start + page_size);
    if (free_whole_pages && to - from == page_size) {
      page = pages_.erase(page);
    } else {
      std::memset(page->second.get() + (from - start), 0, to - from);
      ++page;
    }
  }
}

co::Task<IoStatus> Memory::zero(Bytes offset, Bytes length, MayUnmap may_unmap, co::CancelToken) {
  if (may_unmap == MayUnmap::no) {
    for (std::uint64_t at = offset.value() / page_size; at * page_size < (offset + length).value();
         ++at) {
      if (allocate(at) == nullptr) {
        co_return IoStatus::no_space;
      }
    }
  }
  clear(offset.value(), (offset + length).value(), may_unmap == MayUnmap::yes);
  co_return IoStatus::ok;
}

co::Task<IoStatus> Memory::discard(Bytes offset, Bytes length, co::CancelToken) {
  clear(offset.value(), (offset + length).value(), true);
  co_return IoStatus::ok;
}

co::Task<IoStatus> Memory::block_status(Bytes offset, Bytes length, std::size_t limit,
                                        std::vector<Extent>* out) {
  std::uint64_t at = offset.value();
  const std::uint64_t end = (offset + length).value();
  const std::size_t full = out->size() + limit;
  auto page = pages_.lower_bound(at / page_size);
  while (at < end && out->size() < full) {
    const bool allocated = page != pages_.end() && page->first == at / page_size;
    std::uint64_t stop = page == pages_.end() ? end : page->first * page_size;
    if (allocated) {
      std::uint64_t number = page->first;
      for (; page != pages_.end() && page->first == number; ++page) {
        ++number;
      }
      stop = number * page_size;
    }
    stop = std::min(stop, end);
    out->push_back(Extent{.offset = Bytes{at}, .length = Bytes{stop - at}, .allocated = allocated});
    at = stop;
  }
  co_return IoStatus::ok;
}

co::Task<IoStatus> Memory::resize(Bytes size) {
  if (size < geometry_.size) {
    clear(size.value(), geometry_.size.value(), true);
  }
  geometry_.size = size;
  co_return IoStatus::ok;
}

}  // namespace

std::unique_ptr<Backend> make_memory(co::Executor& executor, Bytes size, Bytes logical_block) {
  return std::make_unique<Memory>(executor, size, logical_block);
}

}  // namespace ballast::backend

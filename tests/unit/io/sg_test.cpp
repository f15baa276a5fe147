// SPDX-License-Identifier: Apache-2.0
// Every scatter-gather operation against a flat reference, over random segment boundaries. The test
// prints its seed; BALLAST_SEED repeats a run.
#include "lib/io/sg.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "tests/cmocka.h"

using namespace ballast;

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t sector = 512;
constexpr int rounds = 2000;

std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* const given = std::getenv("BALLAST_SEED");
    const std::uint64_t chosen =
        given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    std::printf("BALLAST_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    std::fflush(stdout);
    return chosen;
  }();
  return value;
}

using Random = std::mt19937_64;
using Flat = std::vector<std::byte>;

std::size_t below(Random& random, std::size_t bound) {
  return random() % bound;
}

Flat random_bytes(Random& random, std::size_t size) {
  Flat bytes(size);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random());
  }
  return bytes;
}

// A list over pages of its own, each segment in a page of its own at an offset that is a multiple
// of 512 or anything at all, so that no two segments are neighbours in memory.
class List {
 public:
  List(Random& random, std::size_t size) {
    std::size_t left = size;
    while (left > 0) {
      add(random, std::min(left, length(random)));
      left -= segments_.back().iov_len;
    }
    if (below(random, 4) == 0) {
      add(random, 0);
    }
  }
  // `count` segments of one sector each, at every offset of a page in turn.
  explicit List(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      place(i * sector % page, sector);
    }
  }

  io::SgView view() const { return io::SgView{segments_}; }
  Flat flat() const {
    Flat bytes;
    for (const iovec& segment : segments_) {
      const auto* const begin = static_cast<const std::byte*>(segment.iov_base);
      bytes.insert(bytes.end(), begin, begin + segment.iov_len);
    }
    return bytes;
  }
  void set(const Flat& bytes) {
    std::size_t at = 0;
    for (const iovec& segment : segments_) {
      if (segment.iov_len > 0) {
        std::memcpy(segment.iov_base, bytes.data() + at, segment.iov_len);
        at += segment.iov_len;
      }
    }
  }
  // Whether every byte of the pages outside the segments is as it was made.
  bool surroundings_untouched() const {
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      const auto* const begin = static_cast<const std::byte*>(segments_[i].iov_base);
      const std::byte* const start = pages_[i].get();
      const std::byte* const stop = start + 2 * page;
      const std::byte* const end = begin + segments_[i].iov_len;
      const auto guard = [](std::byte b) { return b == std::byte{0xa5}; };
      if (!std::all_of(start, begin, guard) || !std::all_of(end, stop, guard)) {
        return false;
      }
    }
    return true;
  }
  const std::vector<iovec>& segments() const { return segments_; }

 private:
  static std::size_t length(Random& random) {
    switch (below(random, 5)) {
      case 0:
        return 0;
      case 1:
        return 1;
      case 2:
        return sector * (1 + below(random, page / sector));
      default:
        return 1 + below(random, page);
    }
  }
  void add(Random& random, std::size_t length_wanted) {
    const std::size_t offset =
        below(random, 2) == 0 ? sector * below(random, page / sector) : below(random, page);
    place(offset, length_wanted);
  }
  void place(std::size_t offset, std::size_t length_wanted) {
    pages_.push_back(std::make_unique<std::byte[]>(2 * page));
    std::memset(pages_.back().get(), 0xa5, 2 * page);
    segments_.push_back(iovec{pages_.back().get() + offset, length_wanted});
  }

  std::vector<std::unique_ptr<std::byte[]>> pages_;
  std::vector<iovec> segments_;
};

struct Slice {
  std::size_t offset;
  std::size_t length;
};

Slice random_slice(Random& random, std::size_t size) {
  const std::size_t offset = below(random, size + 1);
  return {offset, below(random, size - offset + 1)};
}

std::size_t random_size(Random& random) {
  return below(random, 3 * page);
}

Flat part(const Flat& flat, Slice slice) {
  const auto begin = flat.begin() + static_cast<std::ptrdiff_t>(slice.offset);
  return Flat{begin, begin + static_cast<std::ptrdiff_t>(slice.length)};
}

void replace(Flat& flat, std::size_t offset, const Flat& with) {
  std::copy(with.begin(), with.end(), flat.begin() + static_cast<std::ptrdiff_t>(offset));
}

// A list, what it holds, and a random slice of it.
struct Case {
  explicit Case(Random& random)
      : size{random_size(random)},
        list{random, size},
        content{random_bytes(random, size)},
        slice{random_slice(random, size)} {
    list.set(content);
  }
  io::SgView view() const { return list.view().slice(slice.offset, slice.length); }
  std::size_t size;
  List list;
  Flat content;
  Slice slice;
};

void copying_between_lists_equals_flat_copying(void**) {
  Random random{seed()};
  for (int i = 0; i < rounds; ++i) {
    Case to{random};
    const std::size_t length = to.slice.length;
    List from{random, length + 7};
    const Flat data = random_bytes(random, length + 7);
    from.set(data);
    const std::size_t offset = below(random, 8);
    io::copy(to.view(), from.view().slice(offset, length));
    replace(to.content, to.slice.offset, part(data, {offset, length}));
    assert_true(to.list.flat() == to.content);
    assert_true(from.flat() == data);
    assert_true(to.list.surroundings_untouched());
  }
}

void copying_from_and_to_flat_memory_equals_flat_copying(void**) {
  Random random{seed()};
  for (int i = 0; i < rounds; ++i) {
    Case c{random};
    Flat out(c.slice.length);
    io::copy(std::span<std::byte>{out}, c.view());
    assert_true(out == part(c.content, c.slice));
    const Flat in = random_bytes(random, c.slice.length);
    io::copy(c.view(), std::span<const std::byte>{in});
    replace(c.content, c.slice.offset, in);
    assert_true(c.list.flat() == c.content);
    assert_true(c.list.surroundings_untouched());
  }
}

void zeroing_a_slice_zeroes_it_and_nothing_else(void**) {
  Random random{seed()};
  for (int i = 0; i < rounds; ++i) {
    Case c{random};
    io::zero(c.view());
    replace(c.content, c.slice.offset, Flat(c.slice.length));
    assert_true(c.list.flat() == c.content);
    assert_true(c.list.surroundings_untouched());
  }
}

void filling_repeats_the_pattern_across_boundaries(void**) {
  Random random{seed()};
  for (int i = 0; i < rounds; ++i) {
    Case c{random};
    const Flat pattern =
        random_bytes(random, below(random, 2) == 0 ? sector : 1 + below(random, 9));
    const std::size_t phase = below(random, 3 * sector);
    io::fill(c.view(), pattern, phase);
    for (std::size_t at = 0; at < c.slice.length; ++at) {
      c.content[c.slice.offset + at] = pattern[(phase + at) % pattern.size()];
    }
    assert_true(c.list.flat() == c.content);
    assert_true(c.list.surroundings_untouched());
  }
}

void comparing_finds_the_first_difference(void**) {
  Random random{seed()};
  for (int i = 0; i < rounds; ++i) {
    Case a{random};
    List b{random, a.slice.length};
    Flat data = part(a.content, a.slice);
    b.set(data);
    assert_false(io::first_difference(a.view(), b.view()).has_value());
    if (data.empty()) {
      continue;
    }
    const std::size_t first = below(random, data.size());
    data[first] ^= std::byte{1};
    data[first + below(random, data.size() - first)] ^= std::byte{2};
    b.set(data);
    assert_int_equal(io::first_difference(a.view(), b.view()).value(), first);
  }
}

void a_list_that_is_a_prefix_differs_where_it_ends(void**) {
  Random random{seed()};
  const List a{random, 1000};
  const List b{random, 700};
  io::zero(a.view());
  io::zero(b.view());
  assert_int_equal(io::first_difference(a.view(), b.view()).value(), 700);
  assert_int_equal(io::first_difference(b.view(), a.view()).value(), 700);
}

void is_zero_sees_a_single_set_bit(void**) {
  Random random{seed()};
  for (int i = 0; i < rounds; ++i) {
    Case c{random};
    io::zero(c.view());
    assert_true(io::is_zero(c.view()));
    if (c.slice.length == 0) {
      continue;
    }
    Flat all = c.list.flat();
    all[c.slice.offset + below(random, c.slice.length)] = std::byte{0x10};
    c.list.set(all);
    assert_false(io::is_zero(c.view()));
  }
}

void slicing_a_slice_equals_slicing_once(void**) {
  Random random{seed()};
  for (int i = 0; i < rounds; ++i) {
    const Case c{random};
    const Slice inner = random_slice(random, c.slice.length);
    Flat out(inner.length);
    io::copy(std::span<std::byte>{out}, c.view().slice(inner.offset, inner.length));
    assert_true(out == part(c.content, {c.slice.offset + inner.offset, inner.length}));
  }
}

void the_iovecs_of_a_view_name_its_bytes_in_order(void**) {
  Random random{seed()};
  for (int i = 0; i < rounds; ++i) {
    const Case c{random};
    std::vector<iovec> out(c.view().size());
    const std::size_t count = c.view().to_iovecs(out).value();
    out.resize(count);
    Flat bytes;
    for (const iovec& piece : out) {
      assert_true(piece.iov_len > 0);
      const auto* const begin = static_cast<const std::byte*>(piece.iov_base);
      bytes.insert(bytes.end(), begin, begin + piece.iov_len);
    }
    assert_true(bytes == part(c.content, c.slice));
    if (count > 0) {
      out.resize(count - 1);
      assert_false(c.view().to_iovecs(out).has_value());
    }
  }
}

void a_slice_that_is_one_segment_is_contiguous(void**) {
  Flat first(sector);
  Flat second(sector);
  const iovec segments[] = {{first.data(), first.size()}, {second.data(), second.size()}};
  const io::SgView both{segments};
  assert_ptr_equal(both.slice(sector, sector).contiguous().data(), second.data());
  assert_ptr_equal(both.slice(0, sector).contiguous().data(), first.data());
  assert_true(both.slice(sector - 1, 2).contiguous().empty());
}

// A published driver bug: a copy loop that took every segment for a page handed out the first
// sector again where the table of the partitions should have been.
void a_gpt_header_in_sector_segments_is_not_returned_twice(void**) {
  constexpr std::size_t sectors = 33;  // the header and 32 sectors of table
  Flat disk(sectors * sector);
  for (std::size_t at = 0; at < disk.size(); ++at) {
    disk[at] = static_cast<std::byte>(at / sector + 1);
  }
  std::memcpy(disk.data(), "EFI PART", 8);
  const List segments{sectors};
  io::copy(segments.view(), std::span<const std::byte>{disk});
  assert_true(segments.flat() == disk);
  assert_true(segments.surroundings_untouched());
  int headers = 0;
  for (const iovec& segment : segments.segments()) {
    headers += std::memcmp(segment.iov_base, "EFI PART", 8) == 0 ? 1 : 0;
  }
  assert_int_equal(headers, 1);

  Random random{seed()};
  const List elsewhere{random, disk.size()};
  io::copy(elsewhere.view(), segments.view());
  assert_true(elsewhere.flat() == disk);
}

void an_empty_view_is_equal_zero_and_without_pieces(void**) {
  const io::SgView none;
  const iovec nothing[] = {{nullptr, 0}, {nullptr, 0}};
  const io::SgView empty{nothing};
  assert_int_equal(empty.size(), 0);
  assert_int_equal(empty.to_iovecs({}).value(), 0);
  assert_false(io::first_difference(none, empty).has_value());
  assert_true(io::is_zero(none));
  assert_int_equal(empty.slice(0, 0).size(), 0);
  io::copy(none, empty);
  io::zero(empty);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(copying_between_lists_equals_flat_copying),
      cmocka_unit_test(copying_from_and_to_flat_memory_equals_flat_copying),
      cmocka_unit_test(zeroing_a_slice_zeroes_it_and_nothing_else),
      cmocka_unit_test(filling_repeats_the_pattern_across_boundaries),
      cmocka_unit_test(comparing_finds_the_first_difference),
      cmocka_unit_test(a_list_that_is_a_prefix_differs_where_it_ends),
      cmocka_unit_test(is_zero_sees_a_single_set_bit),
      cmocka_unit_test(slicing_a_slice_equals_slicing_once),
      cmocka_unit_test(the_iovecs_of_a_view_name_its_bytes_in_order),
      cmocka_unit_test(a_slice_that_is_one_segment_is_contiguous),
      cmocka_unit_test(a_gpt_header_in_sector_segments_is_not_returned_twice),
      cmocka_unit_test(an_empty_view_is_equal_zero_and_without_pieces),
  };
  return cmocka_run_group_tests_name("sg", tests, nullptr, nullptr);
}

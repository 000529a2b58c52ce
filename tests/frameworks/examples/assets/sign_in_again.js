// When the session has ended, load the page anew: that leads through the sign-in and back.
const send = window.fetch;
window.fetch = async (...request) => {
  const answer = await send(...request);
  if (answer.status === 401) window.location.reload();
  return answer;
};

// A client of the soak in JavaScript, by dcmjs-dimse: a JSON line on stdin for each request, a JSON line on stdout for what came of it.
//
// {"id", "operation", "port", "calling", "called", "study", "destination", "file"} -> {"id", "status", "instances", "matches", "error"}
// The answers begin with >: the library writes its log to stdout, too.
'use strict';

const readline = require('readline');
const dcmjsDimse = require('dcmjs-dimse');

dcmjsDimse.log.level = 'error';
const { Client } = dcmjsDimse;
const { CEchoRequest, CFindRequest, CGetRequest, CMoveRequest, CStoreRequest } = dcmjsDimse.requests;
const { CStoreResponse } = dcmjsDimse.responses;
const { Status } = dcmjsDimse.constants;

const make = {
  echo: () => new CEchoRequest(),
  find: (asked) => CFindRequest.createStudyFindRequest({ PatientID: asked.patient, PatientBirthDate: '', StudyInstanceUID: '' }),
  get: (asked) => CGetRequest.createStudyGetRequest(asked.study),
  move: (asked) => CMoveRequest.createStudyMoveRequest(asked.destination, asked.study),
  store: (asked) => new CStoreRequest(asked.file),
};

function carryOut(asked, tell) {
  const found = { id: asked.id, status: null, instances: [], births: 0, error: '' };
  let told = false;
  const end = (error) => {
    if (told) return;
    told = true;
    clearTimeout(timer);
    found.error = error;
    tell(found);
  };
  const timer = setTimeout(() => end('timeout'), 60000);
  const client = new Client();
  const request = make[asked.operation](asked);
  request.on('response', (response) => {
    const pending = response.getStatus() === Status.Pending || response.getStatus() === 0xff01;
    if (!pending) found.status = response.getStatus();
    if (pending && asked.operation === 'find' && response.hasDataset() && response.getDataset().getElement('PatientBirthDate')) found.births += 1;
  });
  client.on('cStoreRequest', (incoming, answer) => {
    const data = incoming.getDataset();
    found.instances.push(data.getElement('SOPInstanceUID'));
    if (data.getElement('PatientBirthDate')) found.births += 1;
    const response = CStoreResponse.fromRequest(incoming);
    response.setStatus(Status.Success);
    answer(response);
  });
  client.on('networkError', (error) => end(`network: ${error.message}`));
  client.on('associationRejected', () => end('rejected'));
  client.on('closed', () => end(''));
  client.addRequest(request);
  client.send('127.0.0.1', asked.port, asked.calling, asked.called, { associationLingerTimeout: 0, connectTimeout: 30000, associationTimeout: 30000, pduTimeout: 60000 });
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const asked = JSON.parse(line);
  try {
    carryOut(asked, (found) => process.stdout.write(`>${JSON.stringify(found)}\n`));
  } catch (error) {
    process.stdout.write(`>${JSON.stringify({ id: asked.id, status: null, instances: [], births: 0, error: `raised: ${error.message}` })}\n`);
  }
});
lines.on('close', () => process.exit(0));
